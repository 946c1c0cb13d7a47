"""import: encoders and renderers of ToDayGAN, PearlGAN and MornGAN, two files for a generator."""

import json

import numpy as np
import pytest
import torch_files
from official_files import flat, frame, random_params

from i2vjax import main
from i2vjax.interop import (
  import_config,
  import_torch,
  key_tables_halves,
  layouts,
  torch_checkpoints,
)
from i2vjax.networks import combogan
from i2vjax.run import config_files, load

WIDTH, ENCODER, RENDERER = 4, 2, 3
FORMS = {'todaygan': (False, 'instance'), 'pearlgan': (True, 'group'), 'morngan': (False, 'group')}
NAMES = {'G0': ('gen_ba', 'encoder'), 'G1': ('gen_ab', 'encoder'), 'G2': ('gen_ab', 'renderer'),
         'G3': ('gen_ba', 'renderer')}


def layout_of(source, half, second=5):
  attention, norm = FORMS[source]
  if half == 'encoder':
    layers, leaves = key_tables_halves.encoder_layers(ENCODER, attention, second)
  else:
    layers, leaves = key_tables_halves.renderer_layers(RENDERER, attention, norm, second)
  return layouts.Layout('', layers, {}, {}, leaves=leaves)


def params_of(source, seed=0):
  """{'encoder', 'renderer': {leaf: random array}}."""
  attention, norm = FORMS[source]
  module = combogan.ComboGenerator(3, WIDTH, ENCODER, RENDERER, attention,
                                   32 if norm == 'group' else 0)
  every = random_params(module, frame(), seed=seed)
  return {half: {name.removeprefix(f'{half}/'): value for name, value in every.items()
                 if name.startswith(f'{half}/')} for half in ('encoder', 'renderer')}


def test_places_in_the_public_lists():
  """Of 4 and 5 blocks, as published."""
  layers, leaves = key_tables_halves.encoder_layers(4, False)
  assert layers['res_0/conv_0'] == 'model.10.conv_block.1'
  assert layers['res_3/conv_1'] == 'model.13.conv_block.5'
  assert leaves['stem/act/negative_slope'] == 'model.3.weight'
  layers, leaves = key_tables_halves.encoder_layers(4, True)
  assert layers['attention/gate_4'] == 'model.10.bottlenec4.1'
  assert layers['res_3/conv_1'] == 'model_postfix.3.conv_block.5'
  assert leaves['attention/act/negative_slope'] == 'model.10.conv.2.weight'
  layers, leaves = key_tables_halves.renderer_layers(5, True, 'group')
  assert [layers[name] for name in ('attention/conv', 'up_0/conv', 'up_1/conv', 'head/conv')] == [
      'model_att.conv.0', 'model.5', 'model.8', 'model.12']
  assert leaves['up_1/norm/bias'] == 'model.9.bias'
  assert leaves['up_1/act/negative_slope'] == 'model.10.weight'


@pytest.mark.parametrize('source', FORMS)
@pytest.mark.parametrize('second', [5, 6])
def test_out_and_in_again_is_bit_equal_and_detected(source, second):
  params, (attention, norm) = params_of(source), FORMS[source]
  fields = {'encoder': {'gen.blocks_enc': ENCODER}, 'renderer': {
      'gen.blocks_dec': RENDERER, 'gen.up_norm': norm,
      **({'gen.groups': 32} if norm == 'group' else {})}}
  for half, own in params.items():
    theirs = layouts.state_dict(own, layout_of(source, half, second))
    assert all(array.shape == (1,) for name, array in theirs.items()
               if f'{name.removesuffix("weight")}bias' not in theirs and name.endswith('weight'))
    found = key_tables_halves.DETECT[half](theirs)
    assert found.fields == {'gen.width': WIDTH, 'gen.attention': attention, **fields[half]}
    assert found.channels == (3, 3)
    back = layouts.parameters(theirs, found)
    assert back.keys() == own.keys()
    for name, value in own.items():
      np.testing.assert_array_equal(back[name], value)
      assert back[name].shape == value.shape


@pytest.mark.parametrize('half', ['encoder', 'renderer'])
def test_other_networks_are_refused(half):
  other = {'encoder': 'renderer', 'renderer': 'encoder'}[half]
  for source in FORMS:
    theirs = layouts.state_dict(params_of(source)[other], layout_of(source, other))
    with pytest.raises(ValueError, match=f'is no {half}'):
      key_tables_halves.DETECT[half](theirs)


def test_networks_with_other_activations_are_refused():
  """The first ToDayGAN had ReLUs."""
  theirs = layouts.state_dict(params_of('todaygan')['encoder'], layout_of('todaygan', 'encoder'))
  old = {name: array for name, array in theirs.items() if array.shape != (1,)}
  with pytest.raises(ValueError, match=r'missing \(5\): model.10.conv_block.3.weight'):
    layouts.parameters(old, key_tables_halves.encoder(old))


def write(folder, source, names=tuple(NAMES)):
  """Files of epoch 80; {our network: {half: our leaves}}."""
  both = {'gen_ab': params_of(source, 1), 'gen_ba': params_of(source, 2)}
  for theirs in names:
    net, half = NAMES[theirs]
    torch_files.save(folder / f'80_net_{theirs}.pth',
                     layouts.state_dict(both[net][half], layout_of(source, half)))
  return both


def imported(folder, source, tmp_path):
  file = import_torch.config_path(source)
  config = config_files.read(file)
  config.data.update(load_size=32, crop_size=32)
  config.disc.width = 4
  if 'seg' in config:
    config.seg.update(width=4, sizes=(32,))
  return import_torch.import_run(source, folder, '80', tmp_path / 'run', config, file)


@pytest.mark.parametrize('source', ['todaygan', *(
    pytest.param(x, marks=pytest.mark.slow) for x in ('pearlgan', 'morngan'))])
def test_four_files_become_a_run(source, tmp_path):
  made = write(tmp_path, source)
  said = imported(tmp_path, source, tmp_path)
  run = load.load(tmp_path / 'run')
  for net, own in made.items():
    for half, leaves in own.items():
      for leaf, value in flat(run.params[net][half]).items():
        np.testing.assert_array_equal(value, leaves[leaf])
  gen = run.config.gen
  assert (gen.blocks_enc, gen.blocks_dec) == (ENCODER, RENDERER)
  assert (gen.attention, gen.up_norm) == FORMS[source]
  record = json.loads((tmp_path / 'run' / 'import.json').read_text())
  assert {'disc_a', 'disc_b'} <= set(record['fresh']) and 'gen_ab' not in record['fresh']
  assert 'gen_ab/encoder 80_net_G1.pth: an encoder of 2 blocks, width 4' in said
  config = import_torch.config_path(source)
  assert f'--config {config} ' in said
  assert run.config.method == ('morngan' if source == 'morngan' else 'pearlgan')
  assert run.config.disc.norm == ('instance' if source == 'todaygan' else 'spectral')


def test_the_way_to_day_may_come_alone_but_never_half(tmp_path):
  names = import_torch.SOURCES['pearlgan'][1]
  write(tmp_path, 'pearlgan', ('G1', 'G2'))
  assert set(torch_checkpoints.find(tmp_path, '80', names)) == {'gen_ab/encoder', 'gen_ab/renderer'}
  write(tmp_path, 'pearlgan', ('G0',))
  with pytest.raises(FileNotFoundError, match='gen_ba lacks a half, 80_net_G3.pth'):
    torch_checkpoints.find(tmp_path, '80', names)


def test_channels_of_halves():
  """Domain a is read by the encoder of gen_ab and drawn by the renderer of gen_ba."""
  layout = layouts.Layout('', {}, {}, {}, (1, 1))
  for name, domain in (('gen_ab/encoder', 'a'), ('gen_ab/renderer', 'b'), ('gen_ba/encoder', 'b'),
                       ('gen_ba/renderer', 'a')):
    assert import_config.channels(name, layout) == {f'data.channels_{domain}': 1}


@pytest.mark.parametrize(('source', 'file'), [
    ('todaygan', 'pearlgan.py:todaygan'), ('morngan', 'morngan.py')])
def test_the_command_takes_the_config_of_the_source(source, file, monkeypatch, capsys):
  monkeypatch.setattr(import_torch, 'import_run', lambda *given: f'{given[-2].method} {given[-1]}')
  assert main.main(['main', 'import', '--source', source, '--from', 'x', '--workdir', 'y']) == 0
  method = file.partition('.')[0]
  assert capsys.readouterr().out.strip() == f'{method} {import_torch.config_path(source)}'
  assert import_torch.config_path(source).endswith(file)
