"""MornGAN (arXiv 2208.02960): night-time thermal frames to daytime color, with memory of the rare.

It stands on ToDayGAN-TIR with aligned gradients (methods/pearlgan.py, whose letters these are) and
adds two segmenters: S_b reads visible frames, whose class maps M_b are given, S_a thermal ones,
whose class maps nobody has. Five phases (config.start.phases):

  translation  the terms of pearlgan, and what is known of heat: a thermal frame is gray, persons
               are warmer than the road                                               mono, temp
  visible      + CE(M_b, S_b(x_b))                                                     ce_real_b
  both         from here on holes in M_b are filled where S_b is sure;
               + 0.5 L_bd(M_b, S_b(x_b)) + CE(M_b, S_a(y_a)), y_a a constant   boundary, ce_fake_a
  mining       y_a no longer is one; + CE(M_a, S_a(x_a)), M_a mined where S_a(x_a) and S_b(y_b) are
               sure of the same class, then denoised                                   ce_real_a
               + L_sr, a translation is the same at 1/2 or 3/2 of the size        sr_l1, sr_ssim
  frozen       S_a and S_b stand still and teach the generators: CE(M_b, S_a(y_a)) as before and
               CE(M_a, S_b(y_b)) in the place of those on real frames                  ce_fake_b
               + L_aca, rare things in y_b have the features of real ones                  aca
               + L_cgr, strong gradients of the thermal background are kept                cgr
               and x_a is chosen for x_b by what rare things each x_a is known to hold (memory)

Who does not train in a phase keeps weights and moments. Segmenters see frames at a size drawn for
each step, in the last phase as they are. Public code: FuyaLuo/MornGAN, whose domain A is our b;
where it and the paper differ, configs/morngan.py says which is followed.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import apply_gradients, name_key, weighted
from i2vjax.losses import feature_coverage, gradients, pseudo_labels, reconstruction, thermal_priors
from i2vjax.losses import segmentation as seg_losses
from i2vjax.methods import morngan_memory, pearlgan
from i2vjax.networks import atrous_segmenter

PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'seg_b': ('seg_b',), 'seg_a': ('seg_a',),
           'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
PHASES = ('translation', 'visible', 'both', 'mining', 'frozen')
TERMS = {   # of the segmenters and of what rests on them
    'translation': (), 'visible': ('ce_real_b', 'boundary'),
    'both': ('ce_real_b', 'boundary', 'ce_fake_a'),
    'mining': ('ce_real_b', 'boundary', 'ce_fake_a', 'ce_real_a'),
    'frozen': ('ce_fake_a', 'ce_fake_b', 'aca', 'cgr')}
TERMS_OF_PLAYER = {'seg_b': ('ce_real_b', 'boundary'), 'seg_a': ('ce_fake_a', 'ce_real_a')}
device_state, model_state, translate = (
  pearlgan.device_state,
  pearlgan.model_state,
  pearlgan.translate,
)


def networks(config):
  """Two generators, two critics of three views, two segmenters. ValueError: see `check`."""
  check(config)
  segmenter = atrous_segmenter.segmenter(config, config.data.label_classes)
  return {**pearlgan.networks(config), 'seg_a': segmenter, 'seg_b': segmenter}


def example_inputs(config):
  """One frame of the domain each network reads."""
  known = pearlgan.example_inputs(config)
  return {**known, 'seg_a': known['disc_a'], 'seg_b': known['disc_b']}


def check(config):
  """Refuse what cannot be meant."""
  for block, field, *allowed in (
      ('mining', 'phase3', 'both_confident', 'first_confident'),
      ('mining', 'phase4', 'thermal_only', 'both_confident'),
      ('mining', 'sdp', 'paper', 'release', 'none'), ('sr', 'coin', 'step', 'epoch'),
      ('data', 'direction', 'a2b')):   # class maps and heat belong to one domain each
    if config[block][field] not in allowed:
      raise UserError(f'{block}.{field}={config[block][field]!r}: choose '
                       + ' or '.join(map(repr, allowed)))
  sides = (*ops.hw(config.data.crop_size), *config.seg.sizes)
  if any(side % 8 for side in sides):
    raise UserError(f'data.crop_size and seg.sizes {sides}: multiples of 8 are needed')


# ---- Phases


def phases(config):
  """[(first step, name)]: phase i begins with epoch `start.phases[i - 1]`, counted from 1."""
  firsts = [(epoch - 1) * config.train.per_epoch for epoch in (1, *config.start.phases)]
  return list(zip(firsts, PHASES, strict=False))


def step_variant(config, step):
  """Side of what segmenters see in this step, the same on all hosts and after a resume; 0: all."""
  if [name for first, name in phases(config) if first <= step][-1] in ('translation', 'frozen'):
    return 0
  return int(np.random.default_rng((config.seed, step)).choice(config.seg.sizes))


def terms_of(config, phase):
  """Names of the segmentation terms with a weight that a phase has."""
  late = ('boundary',) if phase == 'visible' and not config.seg.boundary_first else ()
  return tuple(x for x in TERMS[phase] if config.weights[x] and x not in late)


def movers(config, phase):
  """Players that a phase moves, besides the critics: those that one of its terms teaches."""
  taught = () if phase == 'frozen' else terms_of(config, phase)
  return ('gen', *(player for player, by in TERMS_OF_PLAYER.items() if set(by) & set(taught)))


def batch_fields(config):
  """Class maps of b, where something looks at them; of a, if known, to judge M_a by; edge maps.

  Folders without maps lose `temp`; ValueError where classes are needed for more than that.
  """
  reads = any(terms_of(config, name) for _, name in phases(config))
  given = config.data.source != 'folders' or config.data.labels_b
  if reads and not given:
    raise UserError('class maps of data.train_b are needed: --config.data.labels_b=FOLDER, 8-bit '
                     'PNGs of the same names, Cityscapes train ids (only baseline does without)')
  a = ('labels_a',) if reads and config.data.source == 'scenes' else ()
  b = ('labels_b',) if given and (reads or config.weights.temp) else ()
  return b + a + pearlgan.batch_fields(config)


# ---- The step


def step(model, state, batch, key):
  """Generators and the segmenters that learn move together, then the critics."""
  config = model.config
  name, size = model.phase
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  given = {x: ops.fold(batch[f'labels_{x}']).astype(jnp.int32)
           for x in 'ab' if f'labels_{x}' in batch}
  critics, after = pearlgan.in_use(config, state.params, state.model_state)
  scores, pull = pearlgan.real_scores(model, state, real)
  found = pearlgan.edge_maps(config, batch)

  def loss(own):
    params = {**state.params, **own}
    made = pearlgan.translations(model, params, real)
    read, figures = semantics(model, params, real, made, given, key)
    total, terms = weighted({
        **pearlgan.objectives(model, critics, state.step, real, made, scores, found, key),
        **heat(config, state.step, made['fake']['a'], given), **read}, config.weights)
    return total, ({**terms, **figures()}, made['fake'])

  players = movers(config, name)
  own = {net: state.params[net] for player in players for net in PLAYERS[player]}
  grads, (terms, fake) = jax.grad(loss, has_aux=True)(own)
  if name in ('mining', 'frozen') and (config.weights.sr_l1 or config.weights.sr_ssim):
    more, of_sizes = robustness(model, state, real, fake)
    grads |= jax.tree.map(jnp.add, {net: grads[net] for net in more}, more)
    terms |= of_sizes
  for player in players:
    state = apply_gradients(model, state, player, {net: grads[net] for net in PLAYERS[player]})
  state, terms['disc'] = pearlgan.critic_move(model, state, scores, pull, fake, key)
  return state.replace(model_state=after), terms


def heat(config, step, fake_a, given):
  """{'mono', 'temp'}: what is known of thermal frames (ToDayGAN-NTIR)."""
  ids = config.classes.road, config.classes.person
  terms = {'mono': lambda: thermal_priors.monochrome(fake_a)}
  if 'b' in given and min(ids) >= 0:
    terms['temp'] = lambda: pearlgan.ramp(config, step, 'temp') * thermal_priors.warmth(
        fake_a, given['b'], *ids)
  return terms


def robustness(model, state, real, fake):
  """L_sr as ({generator: gradient}, {term: value}).

  A fair coin, the same on all devices, chooses: the small frame's translation is the translation
  made small, or the large frame's, made small again, is the translation. The gradient is taken
  inside the branches: one outside would keep what both leave behind.
  """
  config = model.config
  def at(factor):
    def loss(own):
      def pair(x, y):
        H, W = real[x].shape[1:3]
        side = int(H * factor), int(W * factor)
        out = model.apply(own, f'gen_{x}{y}', ops.resize(real[x], side))
        target = jax.lax.stop_gradient(fake[y])
        return (out, ops.resize(target, side)) if factor < 1 else (ops.resize(out, (H, W)), target)
      pairs = [pair(x, y) for x, y in pearlgan.SIDES]
      return weighted({
          'sr_l1': lambda: sum(reconstruction.smooth_l1(*pair) for pair in pairs),
          'sr_ssim': lambda: sum(reconstruction.dissimilarity(*pair) for pair in pairs),
      }, config.weights)
    return jax.grad(loss, has_aux=True)
  count = state.step // (config.train.per_epoch if config.sr.coin == 'epoch' else 1)
  coin = jax.random.bernoulli(name_key(jax.random.fold_in(state.key, count), 'sizes'))
  own = {net: state.params[net] for net in PLAYERS['gen']}
  return jax.lax.cond(coin, at(config.sr.small), at(config.sr.large), own)


# ---- Classes


def semantics(model, params, real, made, given, key):
  """What rests on the segmenters: ({term: function}, function -> figures to log).

  phase: (name, side of what the segmenters see; 0: frames as they are). given: {'b': M_b
  [B, H, W], 'a': the truth that M_a is judged by, if it is known}.
  """
  config = model.config
  name, size = model.phase
  terms, seg, cgr = terms_of(config, name), config.seg, config.cgr
  frames = {**{f'real_{x}': real[x] for x in 'ab'}, **{f'fake_{x}': made['fake'][x] for x in 'ab'}}
  if name == 'both':   # S_a learns from y_a, which does not learn from S_a yet
    frames['fake_a'] = jax.lax.stop_gradient(frames['fake_a'])
  if size:
    frames = {image: ops.resize(x, size) for image, x in frames.items()}
    given = {x: feature_coverage.reduced(ids, ops.hw(size)) for x, ids in given.items()}
  logits = atrous_segmenter.reader(model, params, frames, name_key(key, 'dropout'))

  def sure(net, image):
    return jax.nn.softmax(jax.lax.stop_gradient(logits(net, image)))

  @functools.cache
  def labels_b():
    filled = seg.fill and name != 'visible'
    return (
      pseudo_labels.filled(given['b'], sure('seg_b', 'real_b'), seg.fill) if filled else given['b']
    )

  @functools.cache
  def labels_a():
    return mined(config, name, frames['real_a'], sure('seg_a', 'real_a'),
                 lambda: sure('seg_b', 'fake_b'))

  def entropy(net, image, labels):
    read = logits(net, image, name != 'frozen')
    weights = seg_losses.rare_weights(labels, read.shape[-1], seg.small_pixels, seg.small_weight)
    return seg_losses.cross_entropy(read, labels, weights)

  def repaired():
    kept = (*config.classes.background, *((pseudo_labels.IGNORE,) if cgr.unlabeled else ()))
    return thermal_priors.conditional_gradient(
        *map(gradients.magnitude, (real['a'], made['fake']['b'])),
        jnp.isin(labels_a(), jnp.asarray(kept)))
  known = {
      'ce_real_b': lambda: entropy('seg_b', 'real_b', labels_b()),
      'boundary': lambda: seg_losses.boundary(logits('seg_b', 'real_b', True), labels_b()),
      'ce_fake_a': lambda: entropy('seg_a', 'fake_a', labels_b()),
      'ce_real_a': lambda: entropy('seg_a', 'real_a', labels_a()),
      'ce_fake_b': lambda: entropy('seg_b', 'fake_b', labels_a()),
      'aca': lambda: feature_coverage.of_batch(made['code']['b'], made['again']['b'], labels_b(),
                                        labels_a(), name_key(key, 'clusters'), **config.aca),
      'cgr': repaired}
  mines, count = {'ce_real_a', 'ce_fake_b', 'aca', 'cgr'} & set(terms), config.data.label_classes
  return ({term: known[term] for term in terms},
          lambda: pseudo_labels.shares(labels_a(), count, given.get('a')) if mines else {})


def mined(config, phase, frames, sure_a, sure_b):
  """M_a [N, H, W]: classes that thermal frames [N, H, W, C] are believed to show, 255 elsewhere.

  sure_a: [N, H, W, K] probabilities of S_a on them. sure_b: function that returns those of S_b on
  their translations.
  """
  rule, classes = config.mining, config.classes
  gray, sequence = ops.luma(frames), ()
  if rule.sdp != 'none':
    sequence = pseudo_labels.confusions(classes, 'a', rule.sdp == 'release')
  if phase == 'frozen' and rule.phase4 == 'thermal_only':
    return pseudo_labels.all_denoised(
      pseudo_labels.confident(sure_a, rule.theta_fg), gray, sequence
    )
  least = pseudo_labels.thresholds(
    sure_a.shape[-1], classes.foreground, rule.theta_fg, rule.theta_bg
  )
  early = jnp.full_like(least, rule.theta_fg) if rule.background_last else least
  heard = phase == 'frozen' or rule.phase3 == 'both_confident'
  labels = pseudo_labels.agreed(sure_a, sure_b(), early, early * heard)
  return pseudo_labels.sure_of(pseudo_labels.all_denoised(labels, gray, sequence), sure_a, least)


def batches(model, feed, state, step):
  """The feed: in the last phase windows of a are chosen by the memory (morngan_memory.py)."""
  return morngan_memory.batches(model, feed, state, step, mined, phases)


def sample_rows(model, params, model_state, batch, key):
  """Those of pearlgan, and what the segmenters read."""
  rows = pearlgan.sample_rows(model, params, model_state, batch, key)
  read = {x: jnp.argmax(model.apply(params, f'seg_{x}', batch[x][:, 0]), axis=-1) for x in 'ab'}
  return rows | {f'classes of {x}': atrous_segmenter.painted(ids, model.config.data.label_classes)
                 for x, ids in read.items()}
