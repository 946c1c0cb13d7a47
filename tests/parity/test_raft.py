"""RAFT against an implementation in PyTorch that shares no line with ours; both kinds of file."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import pretrained
from i2vjax.flow import raft, raft_blocks
from i2vjax.pretrained import raft_weights

torch = pytest.importorskip('torch')
import torch_raft

pytestmark = pytest.mark.parity
# Run once on tiny frames: compile fast, run slow.
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
SIZE = (61, 90)   # padded to 64 x 96: 8 x 12 places, the coarsest level 1 x 1


def shapes(kind):
  frame = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  tree = jax.eval_shape(raft.RAFT(kind).init, jax.random.key(0), frame, frame)['params']
  return {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}


@pytest.fixture(scope='module', params=['small', 'large'])
def twin(request, tmp_path_factory):
  """(kind, PyTorch network, the same parameters read from its file)."""
  net = torch_raft.randomized(request.param)
  path = tmp_path_factory.mktemp('raft') / 'raft.pth'
  torch.save(net.state_dict(), path)
  arrays = raft_weights.READERS[f'raft_{request.param}'](path, ())
  return request.param, net, pretrained.fit(arrays, shapes(request.param), path)


def test_entries_of_the_public_files(twin):
  kind, net, _ = twin
  assert len(net.state_dict()) == {'large': 169, 'small': 106}[kind]
  count = sum(parameter.numel() for parameter in net.parameters())
  assert count == {'large': 5_257_536, 'small': 990_162}[kind]


def test_flow_equals_pytorch(twin):
  """Frames that are no multiple of 8, colors beyond gray, motion that leaves the frame."""
  kind, net, params = twin
  a, b = (np.random.default_rng(i).uniform(-1, 1, (1, *SIZE, 3)).astype(np.float32)
          for i in range(2))
  with jax.default_matmul_precision('highest'):
    ours = jax.jit(raft.RAFT(kind, 3).apply, compiler_options=FAST_COMPILE)(
        {'params': params}, a, b)
  padded = [torch.nn.functional.pad(torch.from_numpy(x).permute(0, 3, 1, 2), (3, 3, 1, 2),
                                    mode='replicate') for x in (a, b)]
  with torch.no_grad():
    theirs = net(*padded, 3).permute(0, 2, 3, 1).numpy()[:, 1:62, 3:93]
  assert ours.shape == theirs.shape and np.abs(theirs).max() > 0.5
  np.testing.assert_allclose(ours, theirs, atol=1e-4)


def as_the_authors_name_it(state):
  """The same arrays in the authors' layout: prefix, other names, shortcut norms twice."""
  lines = any('convgru2' in name for name in state)
  words = ((r'feature_encoder', 'fnet'), (r'context_encoder', 'cnet'),
           (r'(.net)\.convnormrelu\.0', r'\1.conv1'), (r'(.net)\.convnormrelu\.1', r'\1.norm1'),
           (r'(.net)\.conv\.', r'\1.conv2.'),
           (r'convnormrelu(\d)\.0', r'conv\1'), (r'convnormrelu(\d)\.1', r'norm\1'),
           (r'motion_encoder\.convcorr(\d)\.0', r'encoder.convc\1'),
           (r'motion_encoder\.convflow(\d)\.0', r'encoder.convf\1'),
           (r'motion_encoder\.conv\.0', 'encoder.conv'),
           (r'recurrent_block\.convgru(\d)\.conv([zrq])', r'gru.conv\2' + r'\1' * lines),
           (r'mask_predictor\.convrelu\.0', 'update_block.mask.0'),
           (r'mask_predictor\.conv\.', 'update_block.mask.2.'))
  found = {}
  for name, array in state.items():
    for pattern, other in words:
      name = re.sub(pattern, other, name)
    found[f'module.{name}'] = array
    if 'cnet' in name and 'downsample.1' in name:
      found[f"module.{name.replace('downsample.1', 'norm3')}"] = array
  return found


def test_files_of_the_authors_hold_the_same_network(twin, tmp_path):
  kind, net, params = twin
  state = as_the_authors_name_it(net.state_dict())
  assert 'module.cnet.layer2.0.downsample.0.weight' in state
  assert ('module.cnet.layer2.0.norm3.weight' in state) == (kind == 'large')
  torch.save(state, tmp_path / 'raft-things.pth')
  arrays = raft_weights.READERS[f'raft_{kind}'](tmp_path / 'raft-things.pth', ())
  again = pretrained.fit(arrays, shapes(kind), tmp_path / 'raft-things.pth')
  jax.tree.map(np.testing.assert_array_equal, params, again)


def test_the_other_kind_of_file_is_refused(twin, tmp_path):
  kind, net, _ = twin
  other = {'small': 'large', 'large': 'small'}[kind]
  torch.save(net.state_dict(), tmp_path / 'raft.pth')
  arrays = raft_weights.READERS[f'raft_{other}'](tmp_path / 'raft.pth', ())
  with pytest.raises(ValueError, match='does not fit the network'):
    pretrained.fit(arrays, shapes(other), tmp_path / 'raft.pth')


def test_correlation_window_puts_x_outside():
  """Channel (dx + r)(2r + 1) + (dy + r): a peak two columns to the right is at dx = 2, dy = 0."""
  level = np.zeros((1, 1, 1, 9, 9), np.float32)
  level[0, 0, 0, 4, 6] = 1.0
  window = raft_blocks.look_up([jnp.asarray(level)], jnp.full((1, 1, 1, 2), 4.0), 3)[0, 0, 0]
  assert int(np.argmax(window)) == (2 + 3) * 7 + (0 + 3) and float(window.sum()) == 1


def test_samples_outside_the_frame_are_0():
  """Of places -2.5, -1.5 and -0.5 the last alone touches the frame, with weight 1/2 per axis."""
  level = jnp.ones((1, 1, 1, 3, 3))
  for center, inside in ((1.0, 9), (-1.5, 0.25), (100.0, 0)):
    window = raft_blocks.look_up([level], jnp.full((1, 1, 1, 2), center), 1)
    np.testing.assert_allclose(window.sum(), inside, atol=1e-6)
