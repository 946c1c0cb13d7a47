"""All forms of a convolution agree in value and gradient; each has the derivatives it promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.networks import conv, conv_fast, layers, winograd

# Every kind of layer that the networks have: (H, W, in, out, kernel, stride, pad, padding).
LAYERS = {
    'stem': (12, 16, 3, 20, 7, 1, 'reflect', 3),
    'head': (12, 8, 20, 3, 7, 1, 'reflect', 3),
    'residual': (6, 10, 64, 64, 3, 1, 'reflect', 1),
    'residual with odd sides': (5, 7, 64, 72, 3, 1, 'reflect', 1),
    'residual, few channels': (6, 6, 16, 20, 3, 1, 'reflect', 1),
    'up, after the blur': (6, 8, 64, 64, 3, 1, 'zero', 1),
    'down': (8, 12, 16, 24, 3, 2, 'zero', 1),
    'down with odd sides': (9, 7, 16, 24, 3, 2, 'zero', 1),
    'patchgan first': (8, 12, 3, 16, 4, 2, 'zero', 1),
    'patchgan': (9, 12, 16, 24, 4, 2, 'zero', 1),
    'patchgan blur first': (8, 8, 3, 16, 4, 1, 'zero', 1),
    'patchgan last': (6, 5, 16, 20, 4, 1, 'zero', 1),
    'patchgan head': (5, 6, 20, 1, 4, 1, 'zero', 1),
    'todaygan': (9, 7, 16, 24, 4, 2, 'zero', 2),
    'todaygan head, larger than its input': (6, 5, 20, 1, 4, 1, 'zero', 2),
    'unpadded': (7, 8, 16, 16, 3, 1, 'none', 0),
    'pointwise': (4, 4, 16, 16, 1, 1, 'zero', 0),
    'pointwise, strided': (8, 6, 16, 20, 1, 2, 'zero', 0),
    'pointwise, strided, odd sides': (7, 9, 16, 20, 1, 2, 'zero', 0),
    'flow stem': (12, 10, 3, 16, 7, 2, 'zero', 3),
    'bands': (2 * conv_fast.BAND_ROWS, 6, 16, 16, 3, 1, 'zero', 1),
    'bands, strided': (4 * conv_fast.BAND_ROWS, 6, 16, 16, 4, 2, 'zero', 1),
}


def draw(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, wanted, tolerance=2e-5):
  """Equal to `tolerance` of the largest entry."""
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, atol=tolerance * float(jnp.max(jnp.abs(b))), rtol=0)


def value_and_grads(function, x, kernel):
  """Output, and gradients of a curved function of it with respect to input and kernel."""
  y, pull = jax.vjp(function, x, kernel)
  return y, pull(jnp.sin(3 * y) + y)


@pytest.mark.parametrize('layer', LAYERS)
def test_forms_agree_with_plain_in_value_and_gradients(layer):
  H, W, I, O, k, stride, pad, padding = LAYERS[layer]
  form = functools.partial(conv.conv, stride=stride, pad=pad, padding=padding)

  @jax.jit
  def all_forms(x, kernel):
    return [value_and_grads(functools.partial(form, impl=impl), x, kernel)
            for impl in ('plain', 'fast', 'matmul')]
  plain, fast, matmul = all_forms(draw(0, 2, H, W, I), draw(1, k, k, I, O))
  close(fast, plain)
  close(matmul, plain)


@pytest.mark.parametrize(('k', 'out'), [(3, 20), (4, 20), (3, 3)])
def test_transposed_fast_agrees_with_plain(k, out):
  @jax.jit
  def both(x, kernel):
    return [value_and_grads(functools.partial(conv.transposed, impl=impl), x, kernel)
            for impl in ('plain', 'fast')]
  plain, fast = both(draw(0, 2, 5, 6, 16), draw(1, k, k, out, 16))
  assert plain[0].shape == (2, 10, 12, out)
  close(fast, plain)


def plain_dilated(x, kernel, dilation):
  sides = ((dilation, dilation), (dilation, dilation))
  return jax.lax.conv_general_dilated(x, kernel, (1, 1), sides, rhs_dilation=(dilation, dilation),
                                      dimension_numbers=conv.DIMENSIONS)


@pytest.mark.parametrize('dilation', [1, 2, 6])   # 6: most taps lie outside
def test_dilated_agrees_with_what_xla_derives(dilation):
  @jax.jit
  def both(x, kernel):
    return [value_and_grads(functools.partial(form, dilation=dilation), x, kernel)
            for form in (plain_dilated, lambda x, k, dilation: conv.dilated(x, k, dilation))]
  plain, ours = both(draw(0, 2, 8, 10, 5), draw(1, 3, 3, 5, 4))
  assert plain[0].shape == (2, 8, 10, 4)
  close(ours, plain)


@pytest.mark.parametrize('k', [3, 4])
def test_transposed_on_an_accelerator_agrees_with_what_xla_derives(k, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  @jax.jit
  def both(x, kernel):
    return [value_and_grads(functools.partial(conv.transposed, impl=impl), x, kernel)
            for impl in ('plain', 'auto')]
  plain, auto = both(draw(0, 2, 5, 6, 7), draw(1, k, k, 4, 7))
  close(auto, plain)


def map_sized_windows(function, *arguments, side):
  """Convolutions with a window of `side` or more that XLA does not know as weight gradients.

  A weight gradient has the other map as its kernel; with a stride, or zeros between the inputs, it
  stays a convolution of that window on GPUs.
  """
  found = []

  def walk(jaxpr):
    for equation in jaxpr.eqns:
      if equation.primitive.name == 'conv_general_dilated':
        p = equation.params
        rows = equation.invars[1].aval.shape[p['dimension_numbers'].rhs_spec[2]]
        if rows >= side and (max(p['window_strides']) > 1 or max(p['lhs_dilation']) > 1):
          found.append(rows)
      for part in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, 'eqns')):
        if hasattr(part, 'eqns') or hasattr(part, 'jaxpr'):
          walk(getattr(part, 'jaxpr', part))
  walk(jax.make_jaxpr(function)(*arguments).jaxpr)
  return found


def test_no_weight_gradient_on_an_accelerator_has_a_window_as_large_as_the_map(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  def grads(function):
    return lambda x, kernel: value_and_grads(function, x, kernel)
  x, up, wide = draw(0, 1, 16, 16, 4), draw(1, 4, 4, 4, 4), draw(1, 3, 3, 4, 4)
  count = functools.partial(map_sized_windows, side=15)
  assert count(grads(functools.partial(conv.transposed, impl='plain')), x, up)   # as derived
  assert count(grads(functools.partial(plain_dilated, dilation=6)), x, wide)
  assert not count(grads(conv.transposed), x, up)
  assert not count(grads(lambda x, k: conv.dilated(x, k, 6)), x, wide)


@pytest.mark.parametrize(('padding', 'kept_out'), [(1, False), (2, True)])
def test_padding_that_makes_maps_larger_is_kept_out_of_convolutions_on_gpus(
    padding, kept_out, monkeypatch):
  """Else XLA takes the weight gradient, whose window is larger than the input, for no gradient."""
  def both():   # a new function each time: what was traced for a CPU is remembered
    return lambda x, kernel: value_and_grads(functools.partial(conv.conv, padding=padding), x,
                                             kernel)
  x, kernel = draw(0, 1, 9, 8, 3), draw(1, 4, 4, 3, 5)
  wanted = jax.jit(both())(x, kernel)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert ('optimization_barrier' in str(jax.make_jaxpr(both())(x, kernel))) == kept_out
  close(jax.jit(both())(x, kernel), wanted)


def test_transposed_is_the_adjoint_of_the_strided_convolution():
  """<conv(x), y> = <x, transposed(y)>, the same kernel on both sides."""
  x, y, kernel = draw(0, 1, 8, 12, 5), draw(1, 1, 4, 6, 7), draw(2, 4, 4, 5, 7)
  there = jnp.sum(conv.conv(x, kernel, 2, 'zero', 1, 'plain') * y)
  np.testing.assert_allclose(there, jnp.sum(x * conv.transposed(y, kernel, 'plain')), rtol=1e-4)


@pytest.mark.parametrize('layer, large', [
    ('residual', False), ('residual with odd sides', False), ('down', True), ('patchgan', True),
    ('patchgan last', True), ('bands', True)])
def test_forms_of_large_maps_agree_too(layer, large, monkeypatch):
  """A product per tap, and Winograd's form, where these small layers would take another."""
  monkeypatch.setattr(conv_fast, 'SMALL', 0)
  monkeypatch.setattr(winograd, 'MIN_CHANNELS', 1 if not large else 1000)
  monkeypatch.setattr(winograd, 'MIN_PLACES', 1)
  H, W, I, O, k, stride, pad, padding = LAYERS[layer]
  form = functools.partial(conv.conv, stride=stride, pad=pad, padding=padding)
  x, kernel = draw(0, 2, H, W, I), draw(1, k, k, I, O)
  assert winograd.pays((2, H, W, I), kernel, stride, padding) != large

  @jax.jit
  def both(x, kernel):
    return [value_and_grads(functools.partial(form, impl=impl), x, kernel)
            for impl in ('fast', 'plain')]
  close(*both(x, kernel))


@pytest.mark.parametrize('kind, out', [(conv.Conv, (2, 6, 8, 5)),
                                       (conv.ConvTranspose, (2, 12, 16, 5))])
def test_an_instance_norm_takes_the_bias_away(kind, out):
  """`for_norm` gives the norm and the kernel's gradient of the whole layer, and 0 for the bias."""
  layer, x = kind(5, 3), draw(0, 2, 6, 8, 4)
  params = {'kernel': draw(1, *((3, 3, 4, 5) if kind is conv.Conv else (3, 3, 5, 4))),
            'bias': draw(2, 5)}

  def loss(params, method):
    y = layers.instance_norm(layer.apply({'params': params}, x, method=method))
    assert y.shape == out
    return jnp.sum(jnp.sin(y + 0.3 * y * y)), y
  got, wanted = (jax.jit(jax.grad(functools.partial(loss, method=method), has_aux=True))(params)
                 for method in ('for_norm', '__call__'))
  np.testing.assert_allclose(got[1], wanted[1], atol=1e-4)
  close(got[0]['kernel'], wanted[0]['kernel'], 2e-4)
  np.testing.assert_array_equal(got[0]['bias'], 0)
  assert jnp.max(jnp.abs(wanted[0]['bias'])) < 1e-3   # rounding


def test_winograd_is_chosen_for_residual_blocks_only():
  def pays(H, C, O, k=3, stride=1, dtype=jnp.float32):
    return winograd.pays((1, H, H, C), jax.ShapeDtypeStruct((k, k, C, O), dtype), stride, 1)
  assert pays(64, 256, 256)
  assert pays(32, 128, 128)
  assert not pays(64, 64, 64)            # the transforms cost more than they save
  assert not pays(16, 256, 256)
  assert not pays(256, 128, 128)         # the cache
  assert not pays(64, 3, 64)
  assert not pays(64, 256, 256, k=4)
  assert not pays(64, 256, 256, stride=2)
  assert not pays(64, 256, 256, dtype=jnp.bfloat16)


def test_winograd_by_hand():
  """A constant map of 1 and a kernel of 1..9 gives 45 everywhere, bit for bit."""
  kernel = jnp.arange(1.0, 10.0).reshape(3, 3, 1, 1)
  np.testing.assert_array_equal(winograd.conv(jnp.ones((2, 6, 8, 1)), kernel), 45.0)


@pytest.mark.parametrize('impl', ['plain', 'matmul'])
def test_forward_mode_and_second_derivatives(impl):
  x, kernel = draw(0, 1, 6, 6, 3), draw(1, 4, 4, 3, 4)
  tangent = draw(2, *kernel.shape)

  def loss(x, kernel):
    return jnp.sum(jnp.sin(conv.conv(x, kernel, 2, 'zero', 1, impl)))
  slope = jax.jit(jax.grad(loss, 1))
  along = jax.jit(lambda k, t: jax.jvp(lambda k: loss(x, k), (k,), (t,))[1])(kernel, tangent)
  np.testing.assert_allclose(along, jnp.vdot(slope(x, kernel), tangent), rtol=1e-4)
  curved = jax.jit(jax.grad(lambda x: jnp.sum(slope(x, kernel) ** 2)))(x)
  step = 1e-2 * draw(3, *x.shape)
  ends = [jnp.sum(slope(x + s * step, kernel) ** 2) for s in (1, -1)]
  np.testing.assert_allclose((ends[0] - ends[1]) / 2, jnp.vdot(curved, step), rtol=2e-2)


def test_matmul_form_gives_weight_gradients_per_patch():
  """vmap over output positions equals one backward pass each of the plain form."""
  x, kernel = draw(0, 1, 6, 6, 3), draw(1, 4, 4, 3, 2)

  def at(kernel, index, impl):
    return conv.conv(x, kernel, 1, 'zero', 1, impl).reshape(-1)[index]
  index = jnp.arange(0, 50, 7)
  rows = jax.jit(jax.vmap(lambda i: jax.grad(at)(kernel, i, 'matmul')))(index)
  one = jax.jit(lambda i: jax.grad(at)(kernel, i, 'plain'))
  close(rows, jnp.stack([one(i) for i in index]))


def test_auto_is_fast_on_a_cpu_and_plain_elsewhere(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
  assert conv.settled('auto') == 'fast'
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert conv.settled('auto') == 'plain'
  with pytest.raises(ValueError, match='matmul'):
    conv.settled('im2col')


def test_bfloat16_computes_small_and_keeps_parameters_wide():
  x = draw(0, 1, 8, 8, 3)
  module = conv.Conv(8, 3, dtype=jnp.bfloat16)
  params = module.init(jax.random.key(0), x)
  assert params['params']['kernel'].dtype == jnp.float32
  assert module.apply(params, x).dtype == jnp.bfloat16


@pytest.mark.parametrize('impl', ['plain', 'fast', 'matmul'])
def test_gradients_of_parameters_are_float32_under_bfloat16(impl):
  x, module = draw(0, 1, 8, 8, 3), conv.Conv(20, 3, impl=impl, dtype=jnp.bfloat16)
  params = module.init(jax.random.key(0), x)
  grads = jax.jit(jax.grad(lambda p: jnp.sum(module.apply(p, x).astype(jnp.float32))))(params)
  wanted = jax.jit(jax.grad(lambda p: jnp.sum(module.clone(dtype=None).apply(p, x))))(params)
  assert grads['params']['kernel'].dtype == jnp.float32
  close(grads, wanted, 2e-2)
