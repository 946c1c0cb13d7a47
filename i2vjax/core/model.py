"""A method's networks with all that stays fixed while they train."""




def apply(nets, params, name, *inputs, **options):
  """Apply network `name` with `params[name]`."""
  return nets[name].apply({'params': params[name]}, *inputs, **options)
