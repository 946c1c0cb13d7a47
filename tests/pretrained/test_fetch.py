"""fetch: from a local server or a file to a verified place, never half."""

import dataclasses
import functools
import http.server
import threading

import numpy as np
import pytest
import torch_files

from i2vjax import defaults
from i2vjax.pretrained import fetch, registry


@pytest.fixture
def config(tmp_path, monkeypatch):
  for name in ('I2VJAX_PRETRAINED', 'I2VJAX_MIRROR', 'http_proxy', 'HTTP_PROXY', 'https_proxy',
               'HTTPS_PROXY', 'no_proxy', 'NO_PROXY', 'all_proxy', 'ALL_PROXY'):
    monkeypatch.delenv(name, raising=False)
  config = defaults.get_config()
  config.pretrained_dir = str(tmp_path / 'weights')
  return config


@pytest.fixture
def content(tmp_path):
  """A whole state dict of 40 kB."""
  numbers = np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)
  return torch_files.save(tmp_path / 'any.pth', {'features.0.weight': numbers}).read_bytes()


@pytest.fixture
def item(content, tmp_path, monkeypatch):
  """vgg19 under a name that carries the hash of `content`."""
  digest = registry.sha256(tmp_path / 'any.pth')[:8]
  known = dataclasses.replace(registry.ENTRIES['vgg19'], file=f'vgg19-{digest}.pth')
  monkeypatch.setitem(registry.ENTRIES, 'vgg19', known)
  return known


@pytest.fixture
def server(content):
  """A local web server.

  `plan`: cut (bytes after which it hangs up), ranges, status, etag, says (a length that is not
  true), moved (it redirects from /old), log of ranges, if_range, and asked (request lines).
  """
  plan = {'content': content, 'cut': None, 'ranges': True, 'status': None, 'etag': None,
          'says': None, 'log': [], 'if_range': [], 'asked': []}
  served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, plan))
  threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
  plan['url'] = f'http://127.0.0.1:{served.server_port}/vgg19.pth'
  yield plan
  served.shutdown()
  served.server_close()


class Handler(http.server.BaseHTTPRequestHandler):

  def __init__(self, plan, *args):
    self.plan = plan
    super().__init__(*args)

  def do_CONNECT(self):  # noqa: N802
    self.plan['asked'].append(self.requestline)
    self.send_error(502)

  def do_GET(self):  # noqa: N802
    self.plan['asked'].append(self.requestline)
    if self.path.startswith('/old'):
      self.send_response(302)
      self.send_header('Location', '/new.pth')
      self.end_headers()
      return
    asked, mark = self.headers.get('Range'), self.headers.get('If-Range')
    self.plan['log'].append(asked)
    self.plan['if_range'].append(mark)
    if self.plan['status']:
      self.send_error(self.plan['status'])
      return
    body, start = self.plan['content'], 0
    if asked and self.plan['ranges'] and mark in (None, self.plan['etag']):
      start = int(asked.removeprefix('bytes=').rstrip('-'))
      if start >= len(body):
        self.send_error(416)
        return
      self.send_response(206)
      self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
    else:
      self.send_response(200)
    self.send_header('Content-Length', str(self.plan['says'] or len(body) - start))
    if self.plan['etag']:
      self.send_header('ETag', self.plan['etag'])
    self.end_headers()
    self.wfile.write(body[start:][:self.plan['cut']])

  def log_message(self, *args):
    pass


def get(config, server, **options):
  return fetch.fetch('vgg19', config, url=server['url'], show=False, **options)


def test_download_is_verified_and_named(config, item, server, content):
  path = get(config, server)
  assert path == registry.search_folders(config)[0] / item.file
  assert path.read_bytes() == content
  assert [p.name for p in path.parent.iterdir()] == [item.file]
  assert registry.find(item, config) == path


@pytest.mark.parametrize(('ranges', 'asked'), [(True, 'bytes=9000-'), (False, 'bytes=9000-')])
def test_interrupted_download_goes_on_or_starts_over(config, item, server, content, ranges, asked):
  server['cut'] = 9000
  with pytest.raises(OSError, match=f'9000 bytes have come of {len(content)}.*\n.*fetch vgg19'):
    get(config, server)
  part = registry.search_folders(config)[0] / (item.file + '.part')
  assert part.read_bytes() == content[:9000]
  server.update(cut=None, ranges=ranges)
  assert get(config, server).read_bytes() == content
  assert server['log'] == [None, asked] and not part.exists()


def test_a_download_goes_on_only_with_the_same_file(config, item, server, content):
  part = registry.search_folders(config)[0] / (item.file + '.part')
  server.update(cut=9000, etag='"one"')
  with pytest.raises(OSError, match='9000 bytes have come'):
    get(config, server)
  with pytest.raises(OSError, match='18000 bytes have come'):   # the same version: it goes on
    get(config, server)
  server.update(cut=None, etag='"two"', content=content + b'x')
  with pytest.raises(ValueError, match='is not'):   # another version: from its first byte on
    get(config, server)
  assert server['if_range'] == [None, '"one"', '"one"'] and not list(part.parent.iterdir())
  server.update(cut=5, etag='W/"weak"', content=content)
  with pytest.raises(OSError, match='5 bytes have come'):
    get(config, server)
  server['cut'] = None
  assert get(config, server).read_bytes() == content and server['if_range'][-1] is None


@pytest.mark.parametrize('says', [9000, 90000])
def test_a_length_that_is_not_true_gives_no_file(config, item, server, content, says):
  server['says'] = says
  with pytest.raises((OSError, ValueError), match='broke off|is not|could not be fetched'):
    get(config, server)
  assert not [x for x in registry.search_folders(config)[0].iterdir() if x.suffix == '.pth']
  server['says'] = None
  assert get(config, server).read_bytes() == content


def test_more_than_the_file_can_be_is_not_received(config, item, server, monkeypatch):
  small = dataclasses.replace(item, megabytes=0.001)
  monkeypatch.setitem(registry.ENTRIES, 'vgg19', small)
  monkeypatch.setattr(fetch, 'CHUNK_BYTES', 1000)
  with pytest.raises(ValueError, match='longer than .* What came was deleted'):
    get(config, server)
  assert not list(registry.search_folders(config)[0].iterdir())


def test_a_redirect_is_followed_also_where_it_goes_on(config, item, server, content):
  url = server['url'].replace('/vgg19.pth', '/old.pth')
  server['cut'] = 9000
  with pytest.raises(OSError, match='9000 bytes'):
    fetch.fetch('vgg19', config, url=url, show=False)
  server['cut'] = None
  assert fetch.fetch('vgg19', config, url=url, show=False).read_bytes() == content
  assert server['log'] == [None, 'bytes=9000-']


def test_the_hash_is_compared_before_a_byte_is_read(config, item, server, monkeypatch):
  def read(*_, **__):
    raise AssertionError('it was read')
  server['content'] = b'another file'
  monkeypatch.setattr(fetch.files, 'read', read)
  with pytest.raises(ValueError, match='SHA-256 begins with'):
    get(config, server)


def test_a_mirror_folder_serves_instead_of_the_network(config, item, tmp_path, content,
                                                       monkeypatch):
  mirror = tmp_path / 'mirror'
  mirror.mkdir()
  with pytest.raises(FileNotFoundError, match=f'{item.file} of the mirror'):
    fetch.fetch('vgg19', config, mirror=str(mirror))
  (mirror / item.file).write_bytes(b'not it')
  with pytest.raises(ValueError, match='of the mirror .* is not'):
    fetch.fetch('vgg19', config, mirror=str(mirror))
  (mirror / item.file).write_bytes(content)
  monkeypatch.setenv('I2VJAX_MIRROR', str(mirror))
  assert fetch.fetch('vgg19', config).read_bytes() == content
  assert (mirror / item.file).read_bytes() == content


def test_proxies_of_https_and_their_exceptions(config, item, server, content, monkeypatch):
  monkeypatch.setenv('HTTPS_PROXY', server['url'].rsplit('/', 1)[0])
  with pytest.raises(OSError, match='could not be fetched .*502'):
    fetch.fetch('vgg19', config, url='https://weights.invalid/vgg19.pth', show=False)
  assert server['asked'] == ['CONNECT weights.invalid:443 HTTP/1.1'] or (
      server['asked'] == ['CONNECT weights.invalid:443 HTTP/1.0'])
  monkeypatch.setenv('HTTP_PROXY', 'http://127.0.0.1:9')   # nobody is there
  with pytest.raises(OSError, match='could not be fetched'):
    get(config, server)
  monkeypatch.setenv('NO_PROXY', '127.0.0.1')
  assert get(config, server).read_bytes() == content


def test_a_part_that_is_whole_already_is_accepted(config, item, server, content):
  folder = registry.search_folders(config)[0]
  folder.mkdir()
  (folder / (item.file + '.part')).write_bytes(content)
  assert get(config, server).read_bytes() == content


def test_present_file_is_not_fetched_again(config, item, server):
  assert get(config, server) == get(config, server)
  assert len(server['log']) == 1


def test_another_file_is_refused_and_deleted(config, item, server, tmp_path):
  other = torch_files.save(tmp_path / 'b.pth', {'x': np.ones(3, np.float32)})
  server['content'] = other.read_bytes()
  with pytest.raises(ValueError, match=f'is not {item.file}'):
    get(config, server)
  assert not list(registry.search_folders(config)[0].iterdir())


def test_a_web_page_is_never_trusted_even_without_a_hash(config, server):
  server['content'] = b'<html>please log in</html>'
  with pytest.raises(ValueError, match='web page'):
    fetch.fetch('lpips_alex', config, url=server['url'], show=False)
  assert not list(registry.search_folders(config)[0].iterdir())


def test_failures_name_the_cause_and_the_way_by_file(config, item, server):
  server['status'] = 404
  with pytest.raises(OSError, match='answers 404.*--url.*--file PATH'):
    get(config, server)
  with pytest.raises(OSError, match='(?s)could not be fetched.*0 bytes.*fetch vgg19.*--file PATH'):
    fetch.fetch('vgg19', config, url='http://127.0.0.1:9/x.pth', show=False)
  with pytest.raises(ValueError, match='use --file'):
    fetch.fetch('vgg19', config, url='file:///etc/hosts', show=False)


def test_proxy_of_the_environment_is_used(config, item, server, content, monkeypatch):
  monkeypatch.setenv('http_proxy', server['url'].rsplit('/', 1)[0])
  monkeypatch.delenv('no_proxy', raising=False)
  monkeypatch.delenv('NO_PROXY', raising=False)
  path = fetch.fetch('vgg19', config, url='http://weights.invalid/vgg19.pth', show=False)
  assert path.read_bytes() == content


def test_local_file_under_any_name_is_copied(config, item, tmp_path, content):
  path = fetch.fetch('vgg19', config, file=str(tmp_path / 'any.pth'))
  assert path.name == item.file and path.read_bytes() == content
  assert (tmp_path / 'any.pth').exists()
  with pytest.raises(FileNotFoundError, match='--file .*nowhere.pth'):
    fetch.fetch('vgg19', config, file=str(tmp_path / 'nowhere.pth'))


def test_first_use_of_a_file_without_a_hash_is_noted(config, tmp_path):
  path = torch_files.save(tmp_path / 'x.pth', {'lin0.model.1.weight': np.ones((1, 2), np.float32)})
  target = fetch.fetch('lpips_alex', config, file=str(path))
  assert registry.sha256(path) in (target.parent / 'meta.json').read_text()


def test_listing_names_every_file_its_licence_and_presence(config, item, server):
  before = fetch.listing(config)
  assert all(known.id in before and known.license in before for known in registry.ENTRIES.values())
  assert '  yes' not in before
  path = get(config, server)
  line, = (line for line in fetch.listing(config).splitlines() if line.startswith('vgg19'))
  assert registry.published(item) in line
  assert 'yes' in line and str(path) in line


def test_unknown_id_is_refused_with_the_known(config):
  with pytest.raises(ValueError, match='vgg19'):
    fetch.fetch('vgg', config)


def test_a_wrong_local_file_is_named_and_a_half_done_download_stays(config, item, tmp_path):
  part = registry.search_folders(config)[0] / (item.file + '.part')
  part.parent.mkdir(parents=True, exist_ok=True)
  part.write_bytes(b'half')
  (tmp_path / 'mine.bin').write_bytes(b'something else')
  with pytest.raises(ValueError, match=r'mine\.bin') as error:
    fetch.fetch('vgg19', config, file=str(tmp_path / 'mine.bin'))
  assert '.part' not in str(error.value)
  assert part.read_bytes() == b'half' and (tmp_path / 'mine.bin').exists()


def test_an_interrupted_download_says_how_to_go_on(config, item, server, monkeypatch):
  def stop(*_):
    raise KeyboardInterrupt
  monkeypatch.setattr(fetch, '_receive', stop)
  with pytest.raises(KeyboardInterrupt, match='bytes have come. Start again to go on'):
    get(config, server)
