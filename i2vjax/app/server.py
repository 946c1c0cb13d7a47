"""Serves the page: to this machine alone, unless told otherwise."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import pathlib
import socket
import tempfile
import threading
from typing import Any

from i2vjax import api
from i2vjax.app import sessions, uploads
from i2vjax.core.errors import UserError

# Before gradio is imported: no counting of visitors, no look at what is new.
QUIET = {'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_DISABLE_TELEMETRY': '1',
         'GRADIO_SSR_MODE': 'False'}


@dataclasses.dataclass
class Server:
  """A page that is being served.

  Attributes:
    address: for a browser. page: the `gradio.Blocks`. visits: uploads and results.
  """

  address: str
  page: Any
  visits: sessions.Sessions

  def close(self) -> None:
    """Stop, and delete all uploads and results."""
    with contextlib.suppress(Exception):   # half of it may be gone after Ctrl-C
      self.page.close(verbose=False)
    self.visits.close_all()


def serve(run: api.Translator | api.Path = 'starter', *, host: str = '127.0.0.1',
          port: int = 7860, max_mb: float = 200, max_seconds: float = 60,
          block: bool = True) -> Server:
  """Serve the page.

  Args:
    run: what translates: from `api.load`, or its run folder, or 'starter'.
    host: address to listen on; '0.0.0.0': all who reach this machine may use it.
    port: to listen on.
    max_mb, max_seconds: of what may be dropped.
    block: stay until Ctrl-C; False: come back, `Server.close` ends it.

  Raises:
    UserError: gradio is not installed, the port is taken, see `api.load`.
  """
  os.environ.update(QUIET)
  try:
    import gradio
  except ImportError as error:
    raise UserError('the app needs gradio: pip install "i2vjax[app]"') from error
  check_port(host, port)
  if not isinstance(run, api.Translator):
    run = api.load(run)
  # Below the folder for temporary files, whose content gradio may hand out; 0700
  root = pathlib.Path(tempfile.mkdtemp(prefix='i2vjax-app-'))
  visits = sessions.Sessions(root, uploads.Limits(max_mb, max_seconds))
  os.environ['GRADIO_TEMP_DIR'] = str(visits.uploads)
  try:
    from i2vjax.app import page
    blocks = page.build(run, visits)
    theme = gradio.themes.Default(   # with the fonts of the reader's system
        primary_hue='blue', font=['system-ui', 'sans-serif'],
        font_mono=['ui-monospace', 'monospace'])
    blocks.launch(server_name=host, server_port=port, share=False, prevent_thread_lock=True,
                  quiet=True, inline=False, inbrowser=False, show_error=False, ssr_mode=False,
                  max_file_size=int(max_mb * 1e6), footer_links=[], theme=theme, css=page.CSS,
                  enable_monitoring=False, pwa=False)
  except BaseException:
    visits.close_all()
    raise
  server = Server(f'http://{_for_browser(host)}:{port}', blocks, visits)
  print(welcome(host, server.address), flush=True)
  if block:
    _wait(server)
  return server


def check_port(host: str, port: int) -> None:
  """Raises UserError where nothing can listen there."""
  try:
    if not 0 < port < 2**16:   # the system would take the rest of a division for it
      raise OverflowError('ports are 1 to 65535')
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as trial:
      trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      trial.bind(place)
  except (OSError, OverflowError, ValueError) as error:   # of ports and names that there cannot be
    reason = getattr(error, 'strerror', None) or error
    raise UserError(f'--host {host} --port {port}: nothing can listen there ({reason}). Name '
                    f'another port, such as --port {port % 65535 + 1}') from error


def is_local(host: str) -> bool:
  """True for an address that this machine alone reaches."""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == 'localhost'


def welcome(host: str, address: str) -> str:
  """What is said when the page is there: where, who reaches it, how it ends."""
  who = ('This machine alone reaches it; --host 0.0.0.0 lets others in.' if is_local(host) else
         'WHOEVER REACHES THIS MACHINE MAY USE IT: there is no password.')
  return f'The app is at {address}\n{who}\nCtrl-C ends it and deletes all uploads and results.'


def _for_browser(host):
  """A host as an address names it."""
  if host in ('0.0.0.0', '::'):
    return 'localhost'
  return f'[{host}]' if ':' in host else host


def _wait(server):
  """Until Ctrl-C or SIGTERM."""
  try:
    threading.Event().wait()
  except KeyboardInterrupt:
    print('closed', flush=True)
  finally:
    server.close()
