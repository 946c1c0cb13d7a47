"""One visitor's files: under names of ours, out of reach of others, gone with the visitor."""

import os
import pathlib

import pytest
from PIL import Image

from i2vjax.app import sessions, uploads
from i2vjax.core.errors import UserError


@pytest.fixture
def visits(tmp_path):
  return sessions.Sessions(tmp_path / 'root', uploads.Limits())


def uploaded(visits, name='../x.txt', folder='abc'):
  """A picture where the server lays an upload."""
  (visits.uploads / folder).mkdir(exist_ok=True)
  path = visits.uploads / folder / os.path.basename(name)
  Image.new('L', (20, 10)).save(path, 'PNG')
  return path


def test_an_upload_gets_a_name_of_ours(visits):
  upload = visits.take('me', 'source', str(uploaded(visits)))
  session = visits.of('me')
  assert upload.path.parent.parent == session.folder and upload.path.name == 'frame.png'
  assert session.files == {'source': upload} and visits.of('me') is session
  assert oct(session.folder.stat().st_mode & 0o777) == '0o700'


def test_paths_outside_of_the_uploads_are_refused(visits, tmp_path):
  outside = tmp_path / 'secret.png'
  Image.new('L', (20, 10)).save(outside)
  link = visits.uploads / 'link.png'
  link.symlink_to(outside)
  other = visits.take('other', 'source', str(uploaded(visits)))
  for path in (outside, link, visits.uploads / '..' / '..' / 'secret.png', other.path,
               visits.uploads, visits.uploads / 'nothing.png'):
    with pytest.raises(UserError, match='drop it again'):
      visits.take('me', 'source', str(path))
  assert not visits.of('me').files


def test_a_refused_upload_leaves_nothing(visits):
  visits.take('me', 'source', str(uploaded(visits)))
  bad = visits.uploads / 'abc' / 'y.png'
  bad.write_text('no picture')
  with pytest.raises(UserError, match='Taken are films'):
    visits.take('me', 'source', str(bad))
  assert not visits.of('me').files and not list(visits.of('me').folder.iterdir())


def test_visitors_do_not_share_anything(visits):
  visits.take('me', 'source', str(uploaded(visits)))
  me, you = visits.of('me'), visits.of('you')
  assert you.files == {} and me.token != you.token and me.folder != you.folder


def test_all_of_a_visitor_goes_with_him_and_nothing_of_others(visits):
  mine, shared = uploaded(visits, 'mine.png', 'a'), uploaded(visits, 'shared.png', 'b')
  visits.take('me', 'truth', str(mine))
  for name in ('me', 'you'):
    visits.take(name, 'source', str(shared))
  session = visits.of('me')
  copy = visits.uploads / 'c' / f'translated-{session.token}.mp4'   # as the server hands it out
  copy.parent.mkdir()
  copy.touch()
  visits.close('me')
  assert not session.open and not session.folder.exists()
  assert not mine.exists() and not copy.parent.exists()
  assert shared.exists() and visits.of('you').files['source'].path.exists()
  visits.close('me')   # twice, or never known: nothing happens
  visits.close('you')
  assert not shared.exists()


def test_a_page_that_nobody_uses_counts_as_closed(visits):
  upload = visits.take('me', 'source', str(uploaded(visits)))
  visits.of('you')
  visits.of('me').used -= sessions.IDLE + 60
  visits.of('new')
  assert not upload.path.exists() and visits.of('you').open


def test_an_upload_that_is_taken_back_is_gone(visits):
  upload = visits.take('me', 'source', str(uploaded(visits)))
  visits.drop('me', 'source')
  assert not visits.of('me').files and not upload.path.exists()


def test_the_end_leaves_nothing(visits):
  visits.take('me', 'source', str(uploaded(visits)))
  visits.close_all()
  assert not visits.root.exists()


def test_who_has_no_name_shares_nothing(visits):
  for name in (None, ''):
    with pytest.raises(UserError, match='not known here'):
      visits.of(name)
    with pytest.raises(UserError, match='not known here'):
      visits.take(name, 'source', str(uploaded(visits)))
  assert not any(visits.visitors.iterdir())


@pytest.mark.parametrize('path', [None, '', 'x\0y', '/etc/passwd', '..', '-rf'])
def test_what_a_browser_names_is_no_path(visits, path):
  with pytest.raises(UserError, match='drop it again'):
    visits.take('me', 'source', path)
  assert not visits.of('me').files


def test_an_upload_that_is_replaced_is_deleted_unless_another_has_it(visits):
  first, second = uploaded(visits, 'a.png', 'a'), uploaded(visits, 'b.png', 'b')
  visits.take('me', 'source', str(first))
  visits.take('you', 'source', str(first))
  visits.take('me', 'source', str(second))
  assert first.exists()
  visits.take('you', 'source', str(second))
  assert not first.exists() and second.exists()
  visits.take('you', 'source', str(second))   # the same once more
  assert second.exists()


def test_of_two_uploads_at_a_time_the_later_one_counts(visits, monkeypatch):
  """The earlier one is still being checked, and either is read from files of its own."""
  first, second = uploaded(visits, 'a.png', 'a'), uploaded(visits, 'b.png', 'b')
  Image.new('L', (60, 40)).save(second, 'PNG')
  check, seen = uploads.check, []

  def slow(path, limits):
    if not seen:
      seen.append(path)
      visits.take('me', 'source', str(second))
    return check(path, limits)
  monkeypatch.setattr(uploads, 'check', slow)
  with pytest.raises(sessions.Replaced):
    visits.take('me', 'source', str(first))
  upload = visits.of('me').files['source']
  assert (upload.width, upload.height) == (60, 40) and upload.path.exists()
  assert not seen[0].exists() and not first.exists() and second.exists()
  assert [path.parent for path in visits.of('me').folder.rglob('*.*')] == [upload.path.parent]


@pytest.mark.parametrize('leave', ['drop', 'close'])
def test_an_upload_that_is_taken_back_as_it_is_checked_stays_away(visits, monkeypatch, leave):
  file, session, check = uploaded(visits), visits.of('me'), uploads.check

  def slow(path, limits):
    upload = check(path, limits)
    visits.drop('me', 'source') if leave == 'drop' else visits.close('me')
    return upload
  monkeypatch.setattr(uploads, 'check', slow)
  with pytest.raises(sessions.Replaced):
    visits.take('me', 'source', str(file))
  assert not session.files and not file.exists()
  assert not session.folder.exists() or not any(session.folder.iterdir())


def test_an_upload_that_goes_as_it_is_read_is_told(visits, monkeypatch):
  monkeypatch.setattr(sessions.shutil, 'copyfile', lambda *_: pathlib.Path('/nowhere/x').stat())
  with pytest.raises(UserError, match='drop it again'):
    visits.take('me', 'source', str(uploaded(visits)))
  assert not any(visits.of('me').folder.iterdir())
