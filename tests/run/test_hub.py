"""hf:OWNER/NAME: weights published to and read from a stand-in of the hub."""

import json
import os
import re

import cv2
import export_runs
import hub_server
import jax
import numpy as np
import pytest

pytest.importorskip('huggingface_hub')
import huggingface_hub.constants

import i2vjax
from i2vjax import main
from i2vjax.interop import export, publish
from i2vjax.run import folder, hub, load


@pytest.fixture(scope='module')
def run():
  return export_runs.tiny('cyclegan', 32)


@pytest.fixture(scope='module')
def exported(run, tmp_path_factory):
  return export.export(run, None, tmp_path_factory.mktemp('export') / 'net')


@pytest.fixture
def server(monkeypatch, tmp_path):
  """A hub_server.Hub, and a cache of its own."""
  served = hub_server.Hub()
  for name in ('HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'HF_TOKEN'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('NO_PROXY', '127.0.0.1')
  monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
  hub.locate.cache_clear()
  with hub_server.serving(served) as address:
    monkeypatch.setenv('HF_ENDPOINT', address)
    yield served
  hub.locate.cache_clear()


def test_what_is_published_is_loaded_again(run, exported, server):
  address = publish.publish(run, exported, 'hf:me/street')
  assert re.fullmatch('hf:me/street@[0-9a-f]{40}', address)
  files = server.repositories['me/street'][-1][1]
  assert set(files) == {'config.json', 'weights.safetensors', 'card.json', 'README.md'}
  for name in ('hf:me/street', address):
    loaded = load.load(name)
    assert loaded.step == 3 and loaded.params.keys() == {'gen_ab', 'gen_ba'}
    jax.tree.map(np.testing.assert_array_equal, loaded.params['gen_ab'], run.params['gen_ab'])
  assert i2vjax.load('hf:me/street').config.method == 'cyclegan'
  downloads = [line for line in server.asked if line.startswith('GET') and '/resolve/' in line]
  assert len(downloads) == 2   # the config and the weights, once


def test_no_path_of_this_machine_is_published(run, exported, server):
  config = run.config.copy_and_resolve_references()
  with config.unlocked():
    config.data.root, config.pretrained_dir = '/home/someone/footage', '~/someone'
  publish.publish(run.with_config(config), exported, 'hf:me/street')
  files = server.repositories['me/street'][-1][1]
  assert b'someone' not in b''.join(files.values())
  assert json.loads(files['config.json'])['method'] == 'cyclegan'


def test_a_revision_is_kept_and_a_lost_connection_leaves_the_copy(run, exported, server,
                                                                  monkeypatch):
  first = publish.publish(run, exported, 'hf:me/street')
  at_first = folder.locate('hf:me/street')
  server.commit('me/street', {'README.md': b'new'})
  assert folder.locate('hf:me/street') == at_first   # one state for one process
  hub.locate.cache_clear()
  assert folder.locate('hf:me/street') != at_first == folder.locate(first)
  hub.locate.cache_clear()
  monkeypatch.setenv('HF_ENDPOINT', 'http://127.0.0.1:9')   # nobody is there
  assert folder.locate(first) == at_first
  with pytest.raises(OSError, match='could not be reached .* no copy'):
    folder.locate('hf:me/other')


def test_translate_and_evaluate_take_an_address(run, exported, server, tmp_path, monkeypatch):
  publish.publish(run, exported, 'hf:me/street')
  monkeypatch.chdir(tmp_path)
  frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32), np.uint8)
  os.mkdir('seen')
  for number, frame in enumerate(frames):
    assert cv2.imwrite(f'seen/{number}.png', frame)
  assert main.main(['i2vjax', 'translate', '--workdir=hf:me/street', '--input=seen',
                    '--output=day']) == 0
  assert {'0.png', '1.png'} <= set(os.listdir('day'))
  assert main.main(['i2vjax', 'evaluate', '--workdir=hf:me/street', '--config.eval.max_clips=1',
                    '--config.eval.metrics=psnr']) == 0
  scores = json.loads((tmp_path / 'report-me-street' / 'scores.json').read_text())
  assert scores['protocol']['frames'] == 24 and scores['rows']['translated']['psnr'] > 0
  downloads = [line for line in server.asked if line.startswith('GET') and '/resolve/' in line]
  assert len(downloads) == 2   # both commands read the same copy


def test_the_commands_read_it_and_write_nothing_there(run, exported, server, tmp_path,
                                                      monkeypatch, capsys):
  publish.publish(run, exported, 'hf:me/street')
  monkeypatch.chdir(tmp_path)
  assert main.main(['i2vjax', 'export', '--workdir=hf:me/street', '--output=again',
                    '--publish=hf:me/copy']) == 0
  assert 'published: --workdir hf:me/copy@' in capsys.readouterr().out
  assert server.repositories['me/copy'] and sorted(os.listdir(tmp_path)) == ['again', 'cache']
  assert main.main(['i2vjax', '--config=cyclegan:demo', '--workdir=hf:me/street']) == 2
  assert '--config.train.init_from=hf:me/street' in capsys.readouterr().err


@pytest.mark.parametrize('address', [
    'hf:', 'hf:me', 'hf:me/..', 'hf:../../etc', 'hf:me/net/more', 'hf:/etc/passwd', 'hf:me/a..b',
    'hf:me/net@../../x', 'hf:me/net@', 'hf:me/net@/etc', 'hf:me /net', 'hf:me/net@a//b',
    'hf:.me/net', 'hf:me\\x/net'])
def test_names_that_lead_elsewhere_are_refused(address):
  with pytest.raises(ValueError, match='write hf:OWNER/NAME'):
    hub.parse(address)


def test_names_as_the_hub_has_them():
  assert hub.parse('hf:me/net') == ('me/net', None)
  assert hub.parse('hf:My-Lab.2/a_b.c@refs/pr/1') == ('My-Lab.2/a_b.c', 'refs/pr/1')
  assert not hub.is_address('./hf:me/net') and not hub.is_address(None)


def test_crafted_names_in_a_repository_are_never_asked_for(run, exported, server, tmp_path):
  publish.publish(run, exported, 'hf:me/street')
  server.commit('me/street', {'../../../escaped': b'x', '/etc/cron.d/x': b'x', 'a/../../b': b'x'})
  place = folder.locate('hf:me/street')
  assert sorted(os.listdir(place)) == ['config.json', 'weights.safetensors']
  assert not list(tmp_path.rglob('escaped')) and 'escaped' not in ' '.join(server.asked)


def test_a_copy_that_leads_out_of_the_cache_is_refused(run, exported, server, tmp_path):
  publish.publish(run, exported, 'hf:me/street')
  file = folder.locate('hf:me/street') / 'config.json'
  file.unlink()
  (tmp_path / 'elsewhere.json').write_text('{}')
  file.symlink_to(tmp_path / 'elsewhere.json')
  hub.locate.cache_clear()
  with pytest.raises(ValueError, match='leads out of the cache'):
    folder.locate('hf:me/street')


def test_what_is_no_export_is_told(server):
  server.commit('me/other', {'model.bin': b'x'})
  with pytest.raises(ValueError, match='hf:me/other has no config.json: it is no export'):
    folder.locate('hf:me/other')
  with pytest.raises(ValueError, match='no such repository or revision.*404'):
    folder.locate('hf:me/nothing')
  server.commit('me/large', {'config.json': b'{}', 'weights.safetensors': b'x'})
  server.sizes = {'weights.safetensors': 2**40}
  with pytest.raises(ValueError, match='larger than 8 GiB'):
    folder.locate('hf:me/large')


def test_a_hub_that_does_not_let_us_write_is_told(run, exported, server):
  server.refuse = 403
  with pytest.raises(ValueError, match='--publish hf:me/street: the hub answers 403.*HF_TOKEN'):
    publish.publish(run, exported, 'hf:me/street')
  for address, said in (('me/street', 'write hf:OWNER/NAME'), ('hf:me/x@main', 'write hf:me/x')):
    with pytest.raises(ValueError, match=said):
      hub.check_published(address)
