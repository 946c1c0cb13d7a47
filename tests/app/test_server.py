"""Who reaches the page, and what is said of it; the page itself where gradio is installed."""

import importlib.util
import os
import socket
import sys

import pytest

from i2vjax import main
from i2vjax.app import server
from i2vjax.core.errors import UserError


@pytest.mark.parametrize(('host', 'local'), [
    ('127.0.0.1', True), ('localhost', True), ('::1', True), ('0.0.0.0', False), ('::', False),
    ('192.168.1.5', False), ('example.org', False)])
def test_it_says_who_reaches_it(host, local):
  said = server.welcome(host, 'http://x:1')
  assert server.is_local(host) == local
  assert ('This machine alone' in said) == local and ('NO PASSWORD' in said.upper()) != local


def test_a_port_that_is_taken_is_told():
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(UserError, match=f'--port {port}: nothing can listen there'):
      server.check_port('127.0.0.1', port)


@pytest.mark.parametrize(('host', 'port'), [
    ('127.0.0.1', 99999), ('127.0.0.1', 2**70), ('x' * 300, 80), ('no such host', 80)])
def test_a_place_that_there_cannot_be_is_told(host, port):
  with pytest.raises(UserError, match=f'--port {port}: nothing can listen there'):
    server.check_port(host, port)


def test_without_gradio_the_command_says_how_to_get_it(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'gradio', None)
  monkeypatch.setattr(os, 'environ', dict(os.environ))
  assert main.main(['i2vjax', 'app', '--workdir', 'starter']) == 2
  assert 'pip install "i2vjax[app]"' in capsys.readouterr().err


@pytest.mark.parametrize(('given', 'said'), [
    (['--workdir', 'starter', '--port', '0'], 'port'), ([], 'app needs --workdir RUN'),
    (['--workdir', 'nowhere'], 'nowhere')])
def test_mistakes_are_told(given, said, capsys):
  assert main.main(['i2vjax', 'app', *given]) == 2
  assert said in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec('gradio') is None,
                    reason='gradio is not installed: pip install "i2vjax[app]"')
def test_the_page_is_built_and_answers(tmp_path, monkeypatch):
  import stub_runs as stubs
  from PIL import Image

  monkeypatch.setattr(os, 'environ', dict(os.environ))
  from i2vjax import api
  from i2vjax.app import page, sessions, uploads
  visits = sessions.Sessions(tmp_path / 'root', uploads.Limits(5, 9))
  run = api.Translator(stubs.make(stubs.negative))
  blocks = page.build(run, visits)
  assert not blocks.analytics_enabled
  assert blocks.delete_cache[1] >= sessions.IDLE   # of pages that are open
  uploading = [fn for fn in blocks.fns.values() if fn.concurrency_id in ('source', 'truth')]
  assert len(uploading) == 4   # dropped and taken back: in order, and none is left out
  assert all(fn.trigger_mode == 'multiple' and fn.concurrency_limit == 1 for fn in uploading)
  handlers = page.Handlers(run, visits)
  assert handlers.limits_text() == 'At most 5 MB; films of at most 9 seconds.'

  class Request:
    session_hash = 'me'
  path = visits.uploads / 'y' / 'x'
  path.parent.mkdir()
  Image.new('L', (24, 16), 60).save(path, 'PNG')
  _, words, button = handlers.take_source(str(path), Request)
  assert words == 'Picture, 24 × 16.' and button['interactive']
  pair, moment, beside, download, scores = handlers.translate(Request, lambda *_, **__: None)
  assert [file.is_file() for file in pair] == [True, True] and not beside['visible']
  assert download['value'].is_file() and not moment['visible'] and not scores['visible']
  assert handlers.look(1, Request) == pair
  with monkeypatch.context() as patch:   # another takes its place while it is checked
    patch.setattr(uploads, 'check', lambda *_: visits.drop('me', 'source'))
    assert all(is_kept(x) for x in handlers.take_source(str(path), Request))
  assert not path.exists()
  path.parent.mkdir()
  path.write_text('no picture')
  file, words, button = handlers.take_source(str(path), Request)
  assert file is None and 'Taken are films' in words and not button['interactive']
  handlers.leave(Request)
  assert not any(visits.visitors.iterdir())


def is_kept(update):
  """True for an output that leaves the page as it is."""
  return update == {'__type__': 'update'}
