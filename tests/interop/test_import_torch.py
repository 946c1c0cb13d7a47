"""import: public checkpoints become run folders that the other commands take."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_files
from flax import traverse_util
from official_files import flat, frame, patchgan_layout, random_params, resnet_layout

from i2vjax import methods
from i2vjax.core import parallel
from i2vjax.core.model import Model
from i2vjax.interop import import_config, import_torch, key_tables, layouts, torch_checkpoints
from i2vjax.networks import patchgan, projector, resnet, unet
from i2vjax.run import checkpoint, config_files, load
from i2vjax.run import folder as run_folder
from i2vjax.run.schedules import optimizers

SIZE = 32


# ---- tables, against the published keys ----


@pytest.mark.parametrize(('blocks', 'down', 'up', 'expected'), [
    (9, 'stride', 'deconv', (4, 7, 10, 18, 19, 22, 26, ())),
    (6, 'stride', 'blur', (4, 7, 10, 15, 17, 21, 25, (16, 20))),
    (9, 'blur', 'blur', (4, 8, 12, 20, 22, 26, 30, (7, 11, 21, 25)))])
def test_places_of_the_generators_layers(blocks, down, up, expected):
  layers, filters = key_tables.resnet_layers(blocks, down, up)
  places = [int(layers[name].split('.')[1]) for name in (
      'down_0/conv', 'down_1/conv', 'res_0/conv_0', f'res_{blocks - 1}/conv_1', 'up_0/conv',
      'up_1/conv', 'head/conv')]
  assert (*places, tuple(int(name.split('.')[1]) for name in filters)) == expected
  assert layers['res_0/conv_1'].endswith('conv_block.5')


def test_places_of_the_critics_layers():
  stride, blur = (key_tables.patchgan_layers(3, down) for down in ('stride', 'blur'))
  assert list(stride[0].values()) == [f'model.{i}' for i in (0, 2, 5, 8, 11)] and not stride[1]
  assert list(blur[0].values()) == [f'model.{i}' for i in (0, 3, 7, 11, 14)]
  assert list(blur[1]) == [f'model.{i}.filt' for i in (2, 6, 10)]


def test_places_of_the_unets_layers():
  layers = key_tables.unet_layers(7, 'model.model.')
  assert layers['down_0'] == 'model.model.0' and layers['up_0'] == 'model.model.3'
  assert layers['down_1'] == 'model.model.1.model.1' and layers['up_1'] == 'model.model.1.model.5'
  assert layers['down_2'] == 'model.model.1.model.3.model.1'
  deepest = 'model.model.1.model.' + 5 * '3.model.'
  assert (layers['down_6'], layers['up_6']) == (f'{deepest}1', f'{deepest}3')


NETWORKS = [
    (key_tables.resnet, resnet.ResnetGenerator(3, 8, 2, down, up),
     resnet_layout(2, down, up, second), (frame(),),
     {'gen.kind': 'resnet', 'gen.width': 8, 'gen.blocks': 2, 'gen.down': down, 'gen.up': up})
    for down, up, second in (('stride', 'deconv', 5), ('stride', 'blur', 6), ('blur', 'blur', 5),
                             ('blur', 'deconv', 5))
] + [
    (key_tables.patchgan, patchgan.PatchDiscriminator(4, count, down), patchgan_layout(count, down),
     (frame(),), {'disc.width': 4, 'disc.layers': count, 'disc.down': down, 'critic.scales': 1})
    for count, down in ((1, 'stride'), (1, 'blur'), (2, 'blur'), (3, 'stride'), (3, 'blur'))
] + [
    (key_tables.predictor, unet.UNetPredictor(3, 2, downs),
     layouts.Layout('', key_tables.unet_layers(downs, 'model.model.'), {}, {}), (frame(6),),
     {'pred.kind': 'unet', 'pred.downs': downs, 'pred.width': 2}) for downs in (5, 7, 8)
] + [
    (key_tables.projector, projector.PatchProjector(5),
     layouts.Layout('', key_tables.projector_layers(2), {}, {}),
     ([jnp.zeros((1, 1, 3)), jnp.zeros((1, 1, 7))],), {'nce.width': 5, 'nce.mlp': True})]


@pytest.mark.parametrize(('detect', 'module', 'layout', 'inputs', 'fields'), NETWORKS)
def test_out_and_in_again_is_bit_equal_and_detected(detect, module, layout, inputs, fields):
  params = random_params(module, *inputs)
  theirs = layouts.state_dict(params, layout)
  found = detect(theirs)
  assert found.fields == fields
  back = layouts.parameters(theirs, found)
  assert back.keys() == params.keys()
  for name, value in params.items():
    np.testing.assert_array_equal(back[name], value)


def test_two_stream_predictor_out_and_in_again():
  params = random_params(unet.TwoStreamPredictor(3, 1), frame(6))
  layers = key_tables.prediction({'model1.1.weight': np.zeros((1, 3, 7, 7))}).layers
  theirs = layouts.state_dict(params, layouts.Layout('', layers, {}, {}))
  found = key_tables.predictor(theirs)
  assert found.fields == {'pred.kind': 'prediction', 'pred.stream_width': 1}
  assert theirs['model3.7.weight'].shape == (3, 1, 7, 7)
  back = layouts.parameters(theirs, found)
  assert all(np.array_equal(back[name], params[name]) for name in params)


def test_module_prefix_and_old_statistics_are_dropped():
  params = random_params(patchgan.PatchDiscriminator(4, 1), frame())
  theirs = layouts.state_dict(params, patchgan_layout(1, 'stride'))
  old = {f'module.{name}': array for name, array in theirs.items()}
  for leaf in ('running_mean', 'running_var', 'num_batches_tracked'):
    old[f'module.model.3.{leaf}'] = np.zeros(8)
  assert layouts.clean(old).keys() == theirs.keys()


def test_missing_and_unknown_entries_are_both_listed():
  layout = resnet_layout(2, 'stride', 'blur')
  theirs = layouts.state_dict(random_params(resnet.ResnetGenerator(3, 4, 2, up='blur'), frame()),
                               layout)
  del theirs['model.4.bias']
  theirs |= {'model.5.weight': np.ones(8), 'model.12.filt': np.ones((16, 1, 4, 4))}
  with pytest.raises(ValueError) as error:
    layouts.parameters(theirs, key_tables.resnet(theirs))
  for part in ('missing (1): model.4.bias', 'unknown (1): model.5.weight',
               'filters of another kind (1): model.12.filt', '2 blocks'):
    assert part in str(error.value)


@pytest.mark.parametrize('detect', list(key_tables.DETECT.values()))
def test_other_networks_are_refused(detect):
  with pytest.raises(ValueError, match='is no '):
    detect({'net.0.weight': np.zeros((4, 3, 1, 1)), 'net.0.bias': np.zeros(4)})


# ---- run folders ----


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
  """(folder as the CycleGAN code leaves it but without D_B, our parameters of its networks)."""
  folder = tmp_path_factory.mktemp('official')
  generator = resnet.ResnetGenerator(3, 4, 2, up='blur')
  ours = {}
  for theirs, name, seed in (('G_A', 'gen_ab', 1), ('G_B', 'gen_ba', 2)):
    ours[name] = random_params(generator, frame(), seed=seed)
    torch_files.save(folder / f'latest_net_{theirs}.pth',
                     layouts.state_dict(ours[name], resnet_layout(2, 'stride', 'blur', 6)))
  critic = random_params(patchgan.PatchDiscriminator(4, 2), frame())
  torch_files.save(folder / 'latest_net_D_A.pth',
                   layouts.state_dict(critic, patchgan_layout(2, 'stride')),
                   torch_files.write_plain)
  return folder, {**ours, 'disc_b': critic}


def config_of(source='cyclegan', **data):
  config = config_files.read(import_torch.config_path(source))
  config.data.update(load_size=SIZE, crop_size=SIZE, **data)
  return config


@pytest.fixture(scope='module')
def imported(checkpoints, tmp_path_factory):
  """(run folder, what the command says)."""
  workdir = tmp_path_factory.mktemp('runs') / 'imported'
  return workdir, import_torch.import_run(
    'cyclegan',
    checkpoints[0],
    'latest',
    workdir,
    config_of(),
    str(import_torch.config_path('cyclegan')),
  )


def test_run_holds_the_files_parameters_and_translates(checkpoints, imported):
  run = load.load(imported[0])
  assert (run.config.gen.blocks, run.config.gen.up, run.config.disc.layers) == (2, 'blur', 2)
  for name, params in checkpoints[1].items():
    for leaf, value in flat(run.params[name]).items():
      np.testing.assert_array_equal(value, params[leaf])
  x = jax.random.uniform(jax.random.key(0), (1, 1, SIZE, SIZE, 3), minval=-1)
  _, fake = run.method.translate(run.model, run.params, run.model_state, None, x)
  alone = resnet.ResnetGenerator(3, 4, 2, up='blur').apply(
      {'params': traverse_util.unflatten_dict(checkpoints[1]['gen_ab'], sep='/')}, x[:, 0])
  np.testing.assert_allclose(fake[:, 0], alone, atol=1e-6)
  assert run.step == 0


def test_a_config_with_other_kinds_of_networks_takes_those_of_the_files(checkpoints, tmp_path):
  """A demo has a U-Net and critics on three scales."""
  path = f'{import_torch.config_path("cyclegan")}:demo'
  config = config_files.read(path)
  assert (config.gen.kind, config.critic.scales) == ('unet', 3)
  config.data.update(load_size=SIZE, crop_size=SIZE)
  import_torch.import_run('cyclegan', checkpoints[0], 'latest', tmp_path / 'run', config, path)
  run = load.load(tmp_path / 'run')
  assert (run.config.gen.kind, run.config.critic.scales) == ('resnet', 1)
  assert flat(run.params['gen_ab']).keys() == flat(checkpoints[1]['gen_ab']).keys()


def test_report_names_files_architecture_and_what_is_fresh(imported):
  workdir, said = imported
  for part in ('gen_ab   latest_net_G_A.pth: a ResNet generator of 2 blocks, width 4, down stride, '
               'up blur (trained with dropout)', 'left fresh, to be trained: disc_a',
               f'translate --workdir {workdir}', '--config.gen.blocks=2', '--config.gen.up=blur'):
    assert part in said
  record = json.loads((workdir / 'import.json').read_text())
  assert record['fresh'] == ['disc_a'] and len(record['networks']['gen_ab']['sha256']) == 64


def test_training_starts_from_the_imported_state(checkpoints, imported):
  config = run_folder.read_config(imported[0])
  method = methods.get('cyclegan')
  state = load.fresh_state(method, Model(config, method.networks(config), optimizers(
      config, method.PLAYERS, 1, parallel.device_count())))
  found, position = checkpoint.restore(checkpoint.manager(imported[0]), state)
  assert (int(found.step), position) == (0, {})
  np.testing.assert_array_equal(found.params['gen_ab']['stem']['conv']['kernel'],
                                checkpoints[1]['gen_ab']['stem/conv/kernel'])
  assert not np.array_equal(found.params['gen_ab']['stem']['conv']['kernel'],
                            state.params['gen_ab']['stem']['conv']['kernel'])


def test_one_published_generator_is_found_as_gen_ab(checkpoints, tmp_path):
  path = shutil.copy(checkpoints[0] / 'latest_net_G_A.pth', tmp_path / '5_net_G.pth')
  names = import_torch.SOURCES['cyclegan'][1]
  assert torch_checkpoints.find(tmp_path, '5', names) == {'gen_ab': path}


def test_directions_of_the_sources():
  """I2V-GAN names a generator for the domain it leads to, the others for the one it starts at."""
  names = {source: names for source, (_, names) in import_torch.SOURCES.items()}
  assert names['i2vgan']['G_B'] == names['cyclegan']['G_A'] == 'gen_ab'
  assert names['i2vgan']['D_B'] == names['cyclegan']['D_A'] == 'disc_b'
  assert names['i2vgan']['F_A'] == names['cut']['F'] == 'proj_ab'   # G_B's, which reads a
  assert names['pearlgan']['G1'] == 'gen_ab/encoder' and names['pearlgan']['G0'][:6] == 'gen_ba'
  for method, known in import_torch.SOURCES.values():
    players = methods.get(method.partition(':')[0]).PLAYERS
    every = {name for own in players.values() for name in own}
    halves = {name.partition('/')[0] for name in known.values() if '/' in name}
    assert halves == set(players['gen']) if halves else set(known.values()) == every


def test_channels_follow_the_files():
  layout = layouts.Layout('', {}, {}, {}, (1, 3))
  assert import_config.channels('gen_ba', layout) == {'data.channels_b': 1, 'data.channels_a': 3}
  assert import_config.channels('gen', layout) == {'data.channels_a': 1, 'data.channels_b': 3}
  two = layouts.Layout('', {}, {}, {}, (1, 1))
  assert import_config.channels('pred_b', two) == {'data.channels_b': 1}
  with pytest.raises(ValueError, match='1 or 3'):
    import_config.channels('disc_a', layouts.Layout('', {}, {}, {}, (4, 4)))


def test_without_vgg_the_imported_run_does_without_and_says_so(tmp_path, monkeypatch):
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('I2VJAX_PRETRAINED', raising=False)
  config = config_of('i2vgan')
  settled, notes = import_config.configure(config, {})
  assert (config.perceptual, settled.perceptual) == ('vgg', 'none')
  assert "perceptual='none'" in notes[0]


def test_mistakes_are_named(checkpoints, imported, tmp_path):
  folder = checkpoints[0]
  with pytest.raises(ValueError, match='choose one of cyclegan, recyclegan, i2vgan, cut'):
    import_torch.config_path('pix2pix')
  with pytest.raises(FileNotFoundError, match='latest_net_D_A.pth.*--label'):
    import_torch.import_run('cyclegan', folder, '200', tmp_path / 'run', config_of())
  with pytest.raises(FileNotFoundError, match='no such folder'):
    import_torch.import_run('cyclegan', folder / 'x', 'latest', tmp_path / 'run', config_of())
  with pytest.raises(FileExistsError, match='exists already'):
    import_torch.import_run('cyclegan', folder, 'latest', imported[0], config_of())
  with pytest.raises(ValueError, match='a run of cut.*configs/cut.py'):
    import_torch.import_run('cut', folder, 'latest', tmp_path / 'run', config_of())
  assert not (tmp_path / 'run').exists()


def test_a_file_of_another_network_is_named(checkpoints, tmp_path):
  path = tmp_path / 'latest_net_G_A.pth'
  path.write_bytes((checkpoints[0] / 'latest_net_D_A.pth').read_bytes())
  with pytest.raises(ValueError, match='latest_net_G_A.pth, for gen_ab, is no ResNet generator'):
    torch_checkpoints.load('gen_ab', path)


def test_two_directions_of_different_architecture_are_refused(checkpoints, tmp_path):
  found = {name: torch_checkpoints.load(name, checkpoints[0] / f'latest_net_{theirs}.pth')
           for name, theirs in (('gen_ab', 'G_A'), ('gen_ba', 'G_B'))}
  other = found['gen_ba'].layout
  found['gen_ba'] = torch_checkpoints.TorchNetwork(tmp_path / 'other.pth', layouts.Layout(
      '', other.layers, other.filters, {**other.fields, 'gen.blocks': 9}, (3, 3)), {})
  with pytest.raises(ValueError, match='other.pth asks for gen.blocks=9'):
    import_config.configure(config_of(), found)
