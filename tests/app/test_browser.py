"""The app in a real browser: a film dropped, looked at, downloaded; nothing leaks or stays."""

import os
import pathlib
import shutil
import socket
import time

import numpy as np
import pytest
from PIL import Image

from i2vjax import api, app
from i2vjax.data.io import video_reader

pytest.importorskip('gradio', reason='gradio is not installed: pip install "i2vjax[browser]"')
sync_api = pytest.importorskip('playwright.sync_api',
                               reason='playwright is not installed: pip install "i2vjax[browser]"')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(
    CHROMIUM is None, reason='there is no chromium: apt install chromium')]
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync']
PATIENCE = 900_000   # milliseconds, for a loaded machine
RANGE = '#moment input[type=range]'


@pytest.fixture(scope='module')
def films(tmp_path_factory):
  """Little films of an infrared street that moves, and of what it should become."""
  folder = tmp_path_factory.mktemp('films')
  picture = np.random.default_rng(0).integers(0, 255, (8, 8, 1), np.uint8).repeat(8, 0).repeat(8, 1)
  for name, channels in ('night.mp4', 1), ('day.mp4', 3):
    with video_reader.VideoWriter(folder / name, 10) as writer:
      for t in range(12):
        writer.write(np.roll(picture, 4 * t, axis=1).repeat(channels, axis=2))
  return folder


@pytest.fixture(scope='module')
def reached():
  """Addresses that this process looks up or connects to, the browser's helper aside."""
  addresses = set()
  connect, look_up = socket.socket.connect, socket.getaddrinfo

  def watched_connect(self, address):
    addresses.add(address[0] if isinstance(address, tuple) else 'a file')
    return connect(self, address)

  def watched_look_up(host, *rest, **options):
    addresses.add(host)
    return look_up(host, *rest, **options)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(socket.socket, 'connect', watched_connect)
    patch.setattr(socket, 'getaddrinfo', watched_look_up)
    yield addresses


@pytest.fixture(scope='module')
def server(reached):
  """The app; neither it nor what it stands on may ask another machine for anything."""
  before = dict(os.environ)
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  server = app.serve('starter', port=port, max_mb=1, block=False)
  yield server
  server.close()
  os.environ.clear()
  os.environ.update(before)
  assert not server.visits.root.exists()
  assert reached <= {'127.0.0.1', 'localhost', '::1', 'a file', None}


@pytest.fixture(scope='module')
def chromium():
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium, server):
  """The page; it must never have asked another machine for anything."""
  page = chromium.new_page(viewport={'width': 1280, 'height': 1000}, accept_downloads=True)
  page.set_default_timeout(PATIENCE)
  asked = []
  page.on('request', lambda request: asked.append(request.url))
  page.goto(server.address)
  page.wait_for_selector('#go')
  yield page
  page.close()
  assert not [url for url in asked if not url.startswith((server.address, 'data:', 'blob:'))]


def drop(page, place, path):
  page.set_input_files(f'{place} input[type=file]', path)


def ready(page):
  page.wait_for_function("!document.querySelector('#go').disabled")


def translated(page):
  page.click('#go')
  page.wait_for_selector('#download', state='visible')
  page.wait_for_selector('#pair img >> nth=1')


def pictures(page):
  return [image.get_attribute('src') for image in page.query_selector_all('#pair img')][:2]


def shown_part(page):
  """How the translation is cut at the line of the slider."""
  return page.query_selector_all('#pair img')[1].get_attribute('style')


def until(condition):
  """Wait for what the server does by itself."""
  end = time.monotonic() + PATIENCE / 1000
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.1)


def test_a_film_is_dropped_compared_and_downloaded(page, server, films, tmp_path):
  drop(page, '#source', films / 'night.mp4')
  ready(page)
  assert page.inner_text('#told') == 'Film, 64 × 64, 12 frames, 1.2 s.'
  page.click('#more button')
  drop(page, '#truth', films / 'day.mp4')
  page.wait_for_function("document.querySelector('#told-truth').innerText.startsWith('Film')")
  translated(page)

  # the line between the two is dragged to the left
  before, box = shown_part(page), page.locator('#pair .slider-wrap').bounding_box()
  middle = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
  page.mouse.move(*middle)
  page.mouse.down()
  page.mouse.move(middle[0] - 150, middle[1], steps=8)
  page.mouse.up()
  assert 'clip-path' in before and shown_part(page) != before

  # another moment of the film
  first = pictures(page)
  page.focus(RANGE)
  page.keyboard.press('Home')
  page.wait_for_function(
      "old => ![...document.querySelectorAll('#pair img')].some(x => x.src === old)", arg=first[0])
  page.wait_for_function("[...document.querySelectorAll('#pair img')].every(x => x.naturalWidth)")
  assert 'input-00001' in pictures(page)[0] and 'translation-00001' in pictures(page)[1]

  # the film side by side plays
  page.wait_for_function("document.querySelector('#beside video').videoWidth === 128")
  assert 'PSNR' in page.inner_text('#scores')
  if folder := os.environ.get('I2VJAX_SCREENSHOTS'):
    page.screenshot(path=pathlib.Path(folder) / 'app.png', full_page=True)

  # what is downloaded is what the server made, and what the command line would write
  with page.expect_download() as download:
    page.click('#download')
  assert download.value.suggested_filename.startswith('translated-')
  download.value.save_as(tmp_path / 'loaded.mp4')
  made, = server.visits.visitors.glob('*/result-*/translated-*.mp4')
  assert (tmp_path / 'loaded.mp4').read_bytes() == made.read_bytes()
  api.load('starter').translate(films / 'night.mp4', tmp_path / 'own.mp4')
  loaded, own = (np.stack([frame for frame, _ in video_reader.read_video(tmp_path / name)])
                 for name in ('loaded.mp4', 'own.mp4'))
  # A program from the cache rounds a little otherwise, and H.264 makes more of it: levels, where
  # another frame or another network would be tens of them away.
  assert loaded.shape == own.shape and np.abs(loaded.astype(int) - own).mean() < 8

  # once the page is closed nothing of it is left
  file = pictures(page)[0]
  assert page.request.get(file).status == 200
  assert any(server.visits.visitors.iterdir())
  browser = page.context.browser
  page.close()
  until(lambda: not any(server.visits.visitors.iterdir()))
  until(lambda: not [x for x in server.visits.uploads.rglob('*')   # empty ones are gradio's own
                     if x.is_file() and x.stat().st_size])
  with browser.new_page() as other:
    assert other.request.get(file).status in (403, 404)


def test_a_picture_is_compared_and_downloaded(page, tmp_path):
  gray = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
  Image.fromarray(gray).save(tmp_path / 'night.png')
  drop(page, '#source', tmp_path / 'night.png')
  ready(page)
  assert page.inner_text('#told') == 'Picture, 64 × 64.'
  translated(page)
  assert not page.is_visible('#moment') and not page.is_visible('#beside')
  with page.expect_download() as download:
    page.click('#download')
  download.value.save_as(tmp_path / 'loaded.png')
  loaded = np.asarray(Image.open(tmp_path / 'loaded.png')).astype(int)
  assert np.abs(loaded - api.load('starter').translate(gray[None])[0]).max() <= 2


def test_files_of_the_server_and_of_others_are_out_of_reach(page, server, films):
  drop(page, '#source', films / 'night.mp4')
  ready(page)
  private, = server.visits.visitors.glob('*/source-*/*')
  for path in ('/etc/passwd', private, server.visits.uploads, server.visits.root):
    assert page.request.get(f'{server.address}/gradio_api/file={path}').status in (403, 404)


def test_what_is_no_film_and_what_is_too_large_are_refused(page, films, tmp_path):
  (tmp_path / 'film.mp4').write_text('#EXTM3U\nfile:///etc/passwd\n')
  drop(page, '#source', tmp_path / 'film.mp4')
  page.wait_for_function("document.querySelector('#told').innerText.includes('Taken are films')")
  assert page.is_disabled('#go')
  (tmp_path / 'large.mp4').write_bytes(bytes(1_500_000))
  drop(page, '#source', tmp_path / 'large.mp4')
  page.wait_for_selector('text=/exceed|too large|maximum/i')
  assert page.is_disabled('#go')
