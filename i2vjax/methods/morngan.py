"""MornGAN (arXiv 2208.02960): thermal to color, with memory of rare classes.

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

Left open by the paper:
  - The segmentation networks: those of the public code.
  - When the phases begin: the epochs of the public code (`start.phases`).
  - How many windows the memory chooses among: 10, as in the code (`memory.top_k`).
  - How the outside class maps are made: by any parser; fusing and denoising them is done here.
  - Batches: ratios are of sums over the whole batch, ours; the code has batches of 1.
"""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, name_key, weighted
from i2vjax.losses import feature_coverage, gradients, pseudo_labels, reconstruction, thermal_priors
from i2vjax.losses import segmentation as seg_losses
from i2vjax.methods import morngan_memory, pearlgan, shared
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import atrous_segmenter

YEAR = 2022
PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'seg_b': ('seg_b',), 'seg_a': ('seg_a',),
           'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
PHASES = ('translation', 'visible', 'both', 'mining', 'frozen')
TERMS = {   # on classes: of the segmenters, and of generators through them
    'translation': (), 'visible': ('ce_real_b', 'boundary'),
    'both': ('ce_real_b', 'boundary', 'ce_fake_a'),
    'mining': ('ce_real_b', 'boundary', 'ce_fake_a', 'ce_real_a'),
    'frozen': ('ce_fake_a', 'ce_fake_b', 'aca', 'cgr')}
TERMS_OF_PLAYER = {'seg_b': ('ce_real_b', 'boundary'), 'seg_a': ('ce_fake_a', 'ce_real_a')}
CHOICES = {'mining.phase3': ('both_confident', 'first_confident'),
           'mining.phase4': ('thermal_only', 'both_confident'),
           'mining.sdp': ('paper', 'release', 'none'), 'sr.coin': ('step', 'epoch'),
           'data.direction': ('a2b',)}   # class maps and heat belong to one domain each
MINED_TERMS = {'ce_real_a', 'ce_fake_b', 'aca', 'cgr'}   # those that need M_a
device_state = pearlgan.device_state
model_state = pearlgan.model_state
translate = pearlgan.translate


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two generators, two critics of three views, two segmenters. UserError: see `check`."""
  check(config)
  segmenter = atrous_segmenter.segmenter(config, config.data.label_classes)
  return {**pearlgan.networks(config), 'seg_a': segmenter, 'seg_b': segmenter}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """One frame of the domain each network reads."""
  examples = pearlgan.example_inputs(config)
  return {**examples, 'seg_a': examples['disc_a'], 'seg_b': examples['disc_b']}


def check(config):
  """Refuse choices and sizes that cannot be meant."""
  shared.check_choices(config, CHOICES)
  sides = (*ops.hw(config.data.crop_size), *config.seg.sizes)
  if any(side % 8 for side in sides):
    raise UserError(f'data.crop_size and seg.sizes {sides}: multiples of 8 are needed')


# ---- Phases


def phases(config: ConfigDict) -> list[tuple[int, str]]:
  """[(first step, name)]: phase i begins with epoch `start.phases[i - 1]`, counted from 1."""
  firsts = [(epoch - 1) * config.train.per_epoch for epoch in (1, *config.start.phases)]
  return list(zip(firsts, PHASES, strict=False))


def step_variant(config: ConfigDict, step: int) -> int:
  """Side of what segmenters see in this step, 0 for frames as they are.

  The same on all hosts and after a resume.
  """
  phase = [name for first, name in phases(config) if first <= step][-1]
  if phase in ('translation', 'frozen'):
    return 0
  return int(np.random.default_rng((config.seed, step)).choice(config.seg.sizes))


def terms_of(config, phase):
  """Names of the segmentation terms with a weight that a phase has."""
  late = ('boundary',) if phase == 'visible' and not config.seg.boundary_first else ()
  return tuple(term for term in TERMS[phase] if config.weights[term] and term not in late)


def movers(config, phase):
  """Players that a phase moves, besides the critics: those with a term in it."""
  terms = set() if phase == 'frozen' else set(terms_of(config, phase))
  segmenters = [player for player, names in TERMS_OF_PLAYER.items() if terms & set(names)]
  return ('gen', *segmenters)


def batch_fields(config: ConfigDict) -> tuple[str, ...]:
  """Class maps of b, where a term needs them; of a, if known, to judge M_a by; edge maps.

  Folders without maps lose the term `temp`, as records do: where nothing but `temp` needs classes,
  they are asked for maps only if `data.labels_b` names them.

  Raises:
    UserError: a folder without maps, and classes are needed for more than that.
  """
  uses_classes = any(terms_of(config, name) for _, name in phases(config))
  source = config.data.source
  has_maps = bool(source == 'scenes' or config.data.labels_b or (source == 'tfds' and uses_classes))
  if uses_classes and not has_maps:
    raise UserError('class maps of data.train_b are needed: --config.data.labels_b=FOLDER, 8-bit '
                    'PNGs of the same names, Cityscapes train ids (only baseline does without)')
  a = ('labels_a',) if uses_classes and config.data.source == 'scenes' else ()
  b = ('labels_b',) if has_maps and (uses_classes or config.weights.temp) else ()
  return b + a + pearlgan.batch_fields(config)


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Generators and the segmenters that learn move together, then the critics."""
  config, (phase, _) = model.config, model.phase
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  labels = {x: ops.fold(batch[f'labels_{x}']).astype(jnp.int32)
            for x in 'ab' if f'labels_{x}' in batch}
  critics, model_state = pearlgan.normalized_critics(config, state.params, state.model_state)
  scores, pull_back = pearlgan.real_scores(model, state, real)
  edges_of = pearlgan.edge_maps(config, batch)

  def loss(trained):
    params = {**state.params, **trained}
    outputs = pearlgan.translations(model, params, real)
    on_classes, figures = class_terms(model, params, real, outputs, labels, key)
    total, terms = weighted({
        **pearlgan.adversarial_term(model, critics, scores, outputs['fake']),
        **pearlgan.cycle_terms(config, state.step, real, outputs['back']),
        **pearlgan.gradient_terms(config, outputs['fake'], edges_of, key),
        **pearlgan.attention_terms(config, state.step, outputs),
        **heat_terms(config, state.step, outputs['fake']['a'], labels),
        **on_classes,
    }, config.weights)
    return total, ({**terms, **figures}, outputs['fake'])

  players = movers(config, phase)
  trained = {net: state.params[net] for player in players for net in PLAYERS[player]}
  grads, (terms, fakes) = jax.grad(loss, has_aux=True)(trained)
  if phase in ('mining', 'frozen') and (config.weights.sr_l1 or config.weights.sr_ssim):
    more, robustness_terms = robustness(model, state, real, fakes)
    grads |= jax.tree.map(jnp.add, {net: grads[net] for net in more}, more)
    terms |= robustness_terms
  for player in players:
    state = apply_gradients(model, state, player, {net: grads[net] for net in PLAYERS[player]})
  state, terms['disc'] = pearlgan.update_critics(model, state, scores, pull_back, fakes, key)
  return state.replace(model_state=model_state), terms


def heat_terms(config, step, fake_a, labels):
  """{'mono', 'temp'}: what is known of thermal frames (ToDayGAN-NTIR); `temp` needs M_b."""
  road, person = config.classes.road, config.classes.person
  terms = {'mono': lambda: thermal_priors.monochrome(fake_a)}
  if 'b' in labels and min(road, person) >= 0:
    terms['temp'] = lambda: pearlgan.ramp(config, step, 'temp') * thermal_priors.warmth(
        fake_a, labels['b'], road, person)
  return terms


def robustness(model, state, real, fake):
  """L_sr as ({generator: gradient}, {term: value}).

  A fair coin, the same on all devices, chooses: the small frame's translation is the translation
  made small, or the large frame's, made small again, is the translation. The gradient is taken
  inside the branches: one outside would keep what both leave behind.
  """
  config = model.config

  def pair(params, x, y, factor):
    """(translation of the resized frame, translation of the frame), at the smaller size of both."""
    H, W = real[x].shape[1:3]
    side = int(H * factor), int(W * factor)
    out = model.apply(params, f'gen_{x}{y}', ops.resize(real[x], side))
    target = jax.lax.stop_gradient(fake[y])
    if factor < 1:
      return out, ops.resize(target, side)
    return ops.resize(out, (H, W)), target

  def gradient_at(factor):
    def loss(params):
      pairs = [pair(params, x, y, factor) for x, y in DIRECTIONS]
      return weighted({
          'sr_l1': lambda: sum(reconstruction.smooth_l1(*pair) for pair in pairs),
          'sr_ssim': lambda: sum(reconstruction.dissimilarity(*pair) for pair in pairs),
      }, config.weights)
    return jax.grad(loss, has_aux=True)
  count = state.step // (config.train.per_epoch if config.sr.coin == 'epoch' else 1)
  coin = jax.random.bernoulli(name_key(jax.random.fold_in(state.key, count), 'sizes'))
  params = {net: state.params[net] for net in PLAYERS['gen']}
  return jax.lax.cond(coin, gradient_at(config.sr.small), gradient_at(config.sr.large), params)


# ---- Classes


def class_terms(model, params, real, outputs, labels, key):
  """Terms on classes, those of the phase that have a weight.

  Args:
    model: its phase is (name, side of what segmenters see; 0: frames as they are).
    real: {x: [B, H, W, C]}.
    outputs: as `pearlgan.translations` returns them.
    labels: {'b': M_b [B, H, W], 'a': the truth that M_a is judged by, if it is known}.
    key: of the step.

  Returns:
    ({term: function that computes it}, {figure to log: value}).
  """
  config, (name, size) = model.config, model.phase
  terms = terms_of(config, name)
  frames = frames_of_segmenters(real, outputs['fake'], name, size)
  if size:
    labels = {x: feature_coverage.reduced(ids, ops.hw(size)) for x, ids in labels.items()}
  logits = atrous_segmenter.reader(model, params, frames, name_key(key, 'dropout'))
  labels_b = visible_labels(config, name, logits, labels['b']) if terms else None
  labels_a, figures = None, {}
  if MINED_TERMS & set(terms):
    labels_a = thermal_labels(config, name, logits, frames['real_a'])
    figures = pseudo_labels.shares(labels_a, config.data.label_classes, labels.get('a'))

  def cross_entropy(net, image, ids):
    scores = logits(net, image, name != 'frozen')
    weights = seg_losses.rare_weights(ids, scores.shape[-1], config.seg.small_pixels,
                                      config.seg.small_weight)
    return seg_losses.cross_entropy(scores, ids, weights)

  def boundary():
    return seg_losses.boundary(logits('seg_b', 'real_b', True), labels_b,
                               floor=config.seg.get('boundary_floor', 0.0))

  def aca():
    return feature_coverage.of_batch(outputs['code']['b'], outputs['again']['b'], labels_b,
                                     labels_a, name_key(key, 'clusters'), **config.aca)

  def cgr():
    return gradient_repair(config, real['a'], outputs['fake']['b'], labels_a)
  functions = {
      'ce_real_b': lambda: cross_entropy('seg_b', 'real_b', labels_b),
      'boundary': boundary,
      'ce_fake_a': lambda: cross_entropy('seg_a', 'fake_a', labels_b),
      'ce_real_a': lambda: cross_entropy('seg_a', 'real_a', labels_a),
      'ce_fake_b': lambda: cross_entropy('seg_b', 'fake_b', labels_a),
      'aca': aca,
      'cgr': cgr}
  return {term: functions[term] for term in terms}, figures


def frames_of_segmenters(real, fake, phase, size):
  """{'real_a', 'real_b', 'fake_a', 'fake_b'}: frames as segmenters see them, at side `size`."""
  frames = {**{f'real_{x}': real[x] for x in 'ab'}, **{f'fake_{x}': fake[x] for x in 'ab'}}
  if phase == 'both':   # S_a learns from y_a, which does not learn from S_a yet
    frames['fake_a'] = jax.lax.stop_gradient(frames['fake_a'])
  if not size:
    return frames
  return {image: ops.resize(x, size) for image, x in frames.items()}


def probabilities(logits, net, image):
  """[B, H, W, K] of a segmenter on an image, constants, without dropout."""
  return jax.nn.softmax(jax.lax.stop_gradient(logits(net, image)))


def visible_labels(config, phase, logits, labels_b):
  """M_b [B, H, W], its holes filled where S_b is sure (`seg.fill`), from phase 'both' on."""
  if not config.seg.fill or phase == 'visible':
    return labels_b
  return pseudo_labels.filled(labels_b, probabilities(logits, 'seg_b', 'real_b'), config.seg.fill)


def thermal_labels(config, phase, logits, frames):
  """M_a [B, H, W] of thermal frames [B, H, W, C] as segmenters see them."""
  return mined(config, phase, frames, probabilities(logits, 'seg_a', 'real_a'),
               lambda: probabilities(logits, 'seg_b', 'fake_b'))


def gradient_repair(config, real_a, fake_b, labels_a):
  """L_cgr: strong gradients of the thermal background are kept in the translation."""
  background = config.classes.background
  if config.cgr.unlabeled:
    background = (*background, pseudo_labels.IGNORE)
  return thermal_priors.conditional_gradient(
      gradients.magnitude(real_a), gradients.magnitude(fake_b),
      jnp.isin(labels_a, jnp.asarray(background)))


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
    labels = pseudo_labels.confident(sure_a, rule.theta_fg)
    return pseudo_labels.all_denoised(labels, gray, sequence)
  thresholds = pseudo_labels.thresholds(sure_a.shape[-1], classes.foreground, rule.theta_fg,
                                        rule.theta_bg)
  early = jnp.full_like(thresholds, rule.theta_fg) if rule.background_last else thresholds
  both_confident = phase == 'frozen' or rule.phase3 == 'both_confident'
  labels = pseudo_labels.agreed(sure_a, sure_b(), early, early * both_confident)
  labels = pseudo_labels.all_denoised(labels, gray, sequence)
  return pseudo_labels.sure_of(labels, sure_a, thresholds)


# ---- Use


def training_feed(model: Model, feed: Iterator, state: State, step: int) -> Iterator:
  """The feed; in the last phase the memory chooses windows of a for it (morngan_memory.py)."""
  return morngan_memory.training_feed(model, feed, state, step, mined, phases)


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Those of pearlgan, and the classes that segmenters see."""
  rows = pearlgan.sample_rows(model, params, model_state, batch, key)
  for x in 'ab':
    ids = jnp.argmax(model.apply(params, f'seg_{x}', batch[x][:, 0]), axis=-1)
    rows[f'classes of {x}'] = atrous_segmenter.painted(ids, model.config.data.label_classes)
  return rows
