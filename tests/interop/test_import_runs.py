"""import, then every command on the run folder it makes: the sources that have two directions."""

import json

import jax
import numpy as np
import official_files as files
import pytest
from flax import traverse_util
from PIL import Image

from i2vjax import main
from i2vjax.interop import export, import_torch
from i2vjax.networks import resnet
from i2vjax.run import load

BOTH = ('G_A', 'G_B', 'D_A', 'D_B', 'P_A', 'P_B')
NAMES = {'i2vgan': (*BOTH, 'F_A', 'F_B'), 'recyclegan': BOTH, 'cut': ('G', 'D', 'F')}
LEADS = {'i2vgan': 'G_B', 'recyclegan': 'G_A', 'cut': 'G'}   # their generator from a to b
SMALL = ('--config.data.crop_size=32', '--config.data.load_size=32', '--config.eval.max_clips=1',
         '--config.data.source=folders', '--show=false')
sources = pytest.mark.parametrize('source', NAMES)
# Compiles networks of three code bases; test_import_torch.py has one.
pytestmark = pytest.mark.slow


def command(*arguments):
  """Runs one command of the command line, which must succeed."""
  assert main.main(['i2vjax', *map(str, arguments)]) == 0


@pytest.fixture(scope='module')
def run_of(tmp_path_factory, footage):
  """source -> (run folder, {their network: its leaves}), imported when first asked for."""
  made = {}

  def get(source):
    if source not in made:
      folder = tmp_path_factory.mktemp(source)
      leaves = files.write(folder, source, NAMES[source])
      workdir = tmp_path_factory.mktemp('runs') / source
      command('import', '--source', source, '--from', folder, '--workdir', workdir,
              f'--config.data.root={footage}', '--config.perceptual=none', *SMALL)
      made[source] = workdir, leaves
    return made[source]
  return get


@pytest.fixture(scope='module')
def frames_of():
  """(source, leaves, frames [T, H, W, 3] uint8) -> what their generator makes of them, uint8."""
  def translated(source, leaves, frames):
    net = resnet.ResnetGenerator(3, files.WIDTH, files.BLOCKS, *files.FORMS[source])
    params = {'params': traverse_util.unflatten_dict(leaves, sep='/')}
    fake = jax.jit(net.apply)(params, frames.astype(np.float32) / 127.5 - 1)
    return np.rint((np.asarray(fake) + 1) * 127.5)
  return translated


def pictures(folder):
  """[T, H, W, 3] uint8 of a folder of frames, gray repeated."""
  return np.stack([np.asarray(Image.open(path).convert('RGB'))
                   for path in sorted(folder.glob('*.png'))])


@sources
def test_every_file_becomes_the_network_it_was(run_of, source):
  workdir, leaves = run_of(source)
  run = load.load(workdir)
  ours = import_torch.SOURCES[source][1]
  assert {ours[name] for name in leaves} == set(run.params)
  for name, expected in leaves.items():
    found = files.flat(run.params[ours[name]])
    assert found.keys() == expected.keys()
    for leaf, value in found.items():
      np.testing.assert_array_equal(value, expected[leaf])


@sources
def test_architecture_is_read_off_the_files(run_of, source):
  run = load.load(run_of(source)[0])
  gen, disc = run.config.gen, run.config.disc
  assert (gen.down, gen.up) == files.FORMS[source]
  assert (gen.width, gen.blocks, disc.width, disc.layers) == (4, 3, 4, 2)
  if source != 'cut':
    assert (run.config.pred.kind, run.config.pred.downs, run.config.pred.width) == ('unet', 3, 4)
  if source != 'recyclegan':
    assert run.config.nce.width == 8


@sources
def test_translates_by_the_generator_from_a_to_b(run_of, frames_of, source, footage, tmp_path):
  workdir, leaves = run_of(source)
  clip = footage / 'test_ir' / 'clip0'
  command('translate', '--workdir', workdir, '--input', clip, '--output', tmp_path / 'out',
          '--chunk=4', '--show=false')
  expected = frames_of(source, leaves[LEADS[source]], pictures(clip))
  assert np.abs(pictures(tmp_path / 'out') - expected).max() <= 1   # rounding to 8 bits


@sources
def test_evaluates_against_the_untrained_network(run_of, source, tmp_path):
  command('evaluate', '--workdir', run_of(source)[0], '--output', tmp_path / 'report', *SMALL[2:])
  rows = json.loads((tmp_path / 'report' / 'scores.json').read_text())['rows']
  assert np.isfinite(rows['translated']['psnr'])
  assert rows['translated']['psnr'] != rows['untrained']['psnr']


@sources
def test_exports_the_generator_from_a_to_b(run_of, source, tmp_path):
  workdir, leaves = run_of(source)
  command('export', '--workdir', workdir, '--output', tmp_path / 'net')
  found = files.flat(export.restore(tmp_path / 'net' / 'params'))
  for leaf, value in leaves[LEADS[source]].items():
    np.testing.assert_array_equal(found[leaf], value)


# ---- the way back


@pytest.mark.parametrize(('network', 'theirs'), [('gen_ab', 'G_B'), ('gen_ba', 'G_A')])
def test_either_generator_is_exported(run_of, network, theirs, tmp_path):
  workdir, leaves = run_of('i2vgan')
  command('export', '--workdir', workdir, '--network', network, '--output', tmp_path / 'net')
  notes = json.loads((tmp_path / 'net' / 'network.json').read_text())
  assert notes['network'] == network and notes['arguments']['blocks'] == files.BLOCKS
  found = files.flat(export.restore(tmp_path / 'net' / 'params'))
  np.testing.assert_array_equal(found['head/conv/kernel'], leaves[theirs]['head/conv/kernel'])


def test_translates_visible_to_infrared_by_wish(run_of, frames_of, footage, tmp_path):
  workdir, leaves = run_of('i2vgan')
  clip = footage / 'test_vis' / 'clip0'
  command('translate', '--workdir', workdir, '--input', clip, '--output', tmp_path / 'out',
          '--network=gen_ba', '--chunk=4', '--show=false')
  expected = frames_of('i2vgan', leaves['G_A'], pictures(clip))
  assert np.abs(pictures(tmp_path / 'out') - expected).max() <= 1


def test_scores_the_way_back_on_the_other_domain(run_of):
  workdir, _ = run_of('i2vgan')
  command('evaluate', '--workdir', workdir, '--network=gen_ba', *SMALL[2:])
  scores = json.loads((workdir / 'report-gen_ba' / 'scores.json').read_text())
  assert scores['protocol']['direction'] == 'b2a'
  assert np.isfinite(scores['rows']['translated']['psnr'])


@pytest.mark.parametrize(('source', 'network', 'there'), [
    ('cut', 'gen_ba', 'translates by gen'), ('i2vgan', 'disc_a', 'by gen_ab or gen_ba')])
def test_what_cannot_translate_is_refused(run_of, source, network, there, tmp_path, capsys):
  workdir, _ = run_of(source)
  assert main.main(['i2vjax', 'translate', '--workdir', str(workdir), '--input', str(tmp_path),
                    '--output', str(tmp_path / 'out'), f'--network={network}']) == 2
  assert there in capsys.readouterr().err


# ---- files that do not fit


@pytest.fixture(scope='module')
def official(tmp_path_factory):
  """A folder with I2V-GAN's files."""
  folder = tmp_path_factory.mktemp('official')
  files.write(folder, 'i2vgan', ('G_B', 'F_A'))
  return folder


def refused(folder, workdir, capsys):
  """What the command says when it refuses; it leaves nothing behind."""
  assert main.main(['i2vjax', 'import', '--source=i2vgan', '--from', str(folder), '--workdir',
                    str(workdir), '--config.perceptual=none', '--config.pred.downs=2', *SMALL]) == 2
  assert not workdir.exists() and not list(workdir.parent.glob('.*part'))
  return capsys.readouterr().err


def test_truncated_file_is_refused_by_name(official, tmp_path, capsys):
  whole = (official / 'latest_net_G_B.pth').read_bytes()
  (tmp_path / 'latest_net_G_B.pth').write_bytes(whole[:len(whole) // 2])
  said = refused(tmp_path, tmp_path / 'run', capsys)
  assert 'latest_net_G_B.pth' in said and 'cut off' in said


def test_another_networks_file_is_refused_by_name(official, tmp_path, capsys):
  (tmp_path / 'latest_net_D_B.pth').write_bytes((official / 'latest_net_F_A.pth').read_bytes())
  said = refused(tmp_path, tmp_path / 'run', capsys)
  assert 'latest_net_D_B.pth, for disc_b, is no PatchGAN' in said


def test_projection_of_another_width_of_generator_is_refused_leaf_by_leaf(
    official, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(files, 'WIDTH', 6)
  files.write(tmp_path, 'i2vgan', ('G_B',))
  (tmp_path / 'latest_net_F_A.pth').write_bytes((official / 'latest_net_F_A.pth').read_bytes())
  said = refused(tmp_path, tmp_path / 'run', capsys)
  assert 'latest_net_F_A.pth' in said and 'mlp_1/dense_0/kernel' in said
