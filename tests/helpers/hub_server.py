"""A stand-in for the Hugging Face hub: repositories in memory, over HTTP on this machine."""

import base64
import contextlib
import functools
import hashlib
import http.server
import json
import threading
import urllib.parse


class Hub:
  """Repositories {name: [(commit, {file: bytes})]}, and what was asked.

  Attributes: repositories; asked: request lines; refuse: a status for every write, or None; sizes:
  {file: what the hub says its size is}.
  """

  def __init__(self):
    self.repositories, self.asked, self.refuse, self.sizes = {}, [], None, {}

  def commit(self, name, files):
    """Add a commit with these files to a repository; returns its hash."""
    history = self.repositories.setdefault(name, [])
    files = {**(history[-1][1] if history else {}), **files}
    digest = hashlib.sha1(f'{name}{len(history)}{sorted(files)}'.encode()).hexdigest()
    history.append((digest, files))
    return digest

  def at(self, name, revision):
    """(commit, files) of a revision, None where there is none."""
    history = self.repositories.get(name, [])
    if revision in ('main', None):
      return history[-1] if history else None
    return next((item for item in history if item[0] == revision), None)


@contextlib.contextmanager
def serving(hub):
  """The address of a server for a Hub."""
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, hub))
  threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
  try:
    yield f'http://127.0.0.1:{server.server_port}'
  finally:
    server.shutdown()
    server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = 'HTTP/1.1'

  def __init__(self, hub, *args):
    self.hub = hub
    super().__init__(*args)

  def do_HEAD(self):  # noqa: N802
    self.do_GET()

  def do_GET(self):  # noqa: N802
    self.hub.asked.append(self.requestline)
    parts = [urllib.parse.unquote(x) for x in
             urllib.parse.urlsplit(self.path).path.strip('/').split('/')]
    if parts[:2] == ['api', 'models']:
      self.describe('/'.join(parts[2:4]), parts[5] if len(parts) > 5 else None)
    elif len(parts) > 4 and parts[2] == 'resolve':
      self.send_file('/'.join(parts[:2]), parts[3], '/'.join(parts[4:]))
    else:
      self.answer(404, {})

  def describe(self, name, revision):
    found = self.hub.at(name, revision)
    if found is None:
      self.answer(404, {'error': 'Repository not found'}, {'X-Error-Code': 'RepoNotFound'})
      return
    siblings = [{'rfilename': file, 'size': self.hub.sizes.get(file, len(body))}
                for file, body in found[1].items()]
    self.answer(200, {'id': name, 'modelId': name, 'sha': found[0], 'siblings': siblings,
                      'private': False, 'tags': [], 'downloads': 0, 'likes': 0})

  def send_file(self, name, revision, file):
    found = self.hub.at(name, revision)
    if found is None or file not in found[1]:
      self.answer(404, {}, {'X-Error-Code': 'EntryNotFound'})
      return
    body = found[1][file]
    headers = {'ETag': f'"{hashlib.sha1(body).hexdigest()}"', 'X-Repo-Commit': found[0]}
    self.answer(200, body, headers)

  def do_POST(self):  # noqa: N802
    self.hub.asked.append(self.requestline)
    body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
    path = urllib.parse.urlsplit(self.path).path
    if self.hub.refuse:
      self.answer(self.hub.refuse, {'error': 'you may not'})
    elif path == '/api/repos/create':
      asked = json.loads(body)
      name = '/'.join(x for x in (asked.get('organization'), asked['name']) if x)
      self.hub.repositories.setdefault(name, [])
      address = f'http://{self.headers["Host"]}/{name}'
      self.answer(200, {'url': address, 'id': name})
    elif path == '/api/validate-yaml':
      self.answer(200, {'errors': [], 'warnings': []})
    elif '/preupload/' in path:
      files = [{'path': x['path'], 'uploadMode': 'regular', 'shouldIgnore': False, 'oid': None}
               for x in json.loads(body)['files']]
      self.answer(200, {'files': files})
    else:
      name = '/'.join(path.split('/')[3:5])
      lines = [json.loads(line) for line in body.splitlines() if line]
      files = {x['value']['path']: base64.b64decode(x['value']['content'])
               for x in lines if x['key'] == 'file'}
      commit = self.hub.commit(name, files)
      self.answer(200, {'commitUrl': f'http://{self.headers["Host"]}/{name}/commit/{commit}',
                        'commitOid': commit, 'success': True})

  def answer(self, status, content, headers=()):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    self.send_response(status)
    for name, value in dict(headers).items():
      self.send_header(name, value)
    self.send_header('Content-Length', str(len(body)))
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(body)

  def log_message(self, *args):
    pass
