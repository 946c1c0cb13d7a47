"""The page: where files are dropped, what is shown of results."""

import html
import logging

import gradio as gr

from i2vjax import api
from i2vjax.app import work
from i2vjax.app.sessions import IDLE, Replaced, Sessions
from i2vjax.core.errors import UserError

TITLE = 'Infrared to daylight'
STARTER = ('These weights come with i2vjax and have seen nothing but a drawn street: they show '
           'what it does. A camera of your own needs a training of its own.')
PRIVACY = ('What you drop stays on the machine that serves this page, and is deleted when you '
           'close it.')
CSS = """
.gradio-container {max-width: 1280px !important; margin: 0 auto !important}
footer {display: none !important}
#scores table {width: 100%}
#pair img {object-fit: contain !important}
"""
# Seconds: how often is deleted what is older, of pages that never closed; of open ones too, so no
# sooner than a page counts as closed, or a result could be seen but not downloaded
CLEANING = (600, IDLE)
# Of files dropped one soon after the other the last counts: the browser sends every event, also
# before the last one is answered, and those of one place are answered one by one.
IN_ORDER = {'trigger_mode': 'multiple', 'concurrency_limit': 1, 'show_progress': 'hidden'}
PRIVATE = {'api_visibility': 'private'}   # for the page alone


def build(run: api.Translator, sessions: Sessions) -> gr.Blocks:
  """The page.

  Args:
    run: what translates. sessions: where uploads are kept.
  """
  handlers = Handlers(run, sessions)
  limits = handlers.limits_text()
  with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=CLEANING) as page:
    gr.Markdown(f'# {TITLE}\n{html.escape(run.config.method)}, trained {run.step} steps. '
                f'{STARTER if run.is_starter else ""}')
    with gr.Row():
      with gr.Column(scale=1, min_width=320):
        source = gr.File(label='1. An infrared film or picture', height=140, elem_id='source')
        told = gr.Markdown(limits, elem_id='told')
        with gr.Accordion('Scores, if you have the same by daylight', open=False, elem_id='more'):
          truth = gr.File(label='True frames, of the same size and number', height=130,
                          elem_id='truth')
          told_truth = gr.Markdown(limits, elem_id='told-truth')
        go = gr.Button('2. Translate', variant='primary', interactive=False, elem_id='go')
        download = gr.DownloadButton('3. Download the translation', visible=False,
                                     elem_id='download')
        scores = gr.Markdown(visible=False, elem_id='scores')
        gr.Markdown(PRIVACY)
      with gr.Column(scale=2, min_width=480):
        pair = gr.ImageSlider(label='Input | translation', type='filepath', interactive=False,
                              height=480, max_height=480, elem_id='pair', buttons=['fullscreen'])
        moment = gr.Slider(1, 2, 1, step=1, label='Moment of the film', visible=False,
                           elem_id='moment', buttons=[])
        beside = gr.Video(label='Input | translation, as a film', visible=False, interactive=False,
                          loop=True, elem_id='beside', buttons=['download'])
    for part, file, words, took, dropped in (
        ('source', source, [told, go], handlers.take_source, handlers.drop_source),
        ('truth', truth, [told_truth], handlers.take_truth, handlers.drop_truth)):
      file.upload(took, file, [file, *words], concurrency_id=part, **IN_ORDER, **PRIVATE)
      file.clear(dropped, None, words, concurrency_id=part, **IN_ORDER, **PRIVATE)
    go.click(handlers.translate, None, [pair, moment, beside, download, scores],
             show_progress_on=pair, concurrency_limit=1, **PRIVATE)
    moment.input(handlers.look, moment, pair, show_progress='hidden', queue=False,
                 trigger_mode='always_last', **PRIVATE)
    page.unload(handlers.leave)
  return page


def scores_text(result: work.Result) -> str:
  """The scores as a table, and the notes."""
  lines = []
  if result.scores:
    lines += ['| | ' + ' | '.join(work.METRICS.values()) + ' |',
              '|---|' + '---:|' * len(work.METRICS)]
    lines += [f'| {row} | ' + ' | '.join(f'{value:.3f}' for value in values.values()) + ' |'
              for row, values in result.scores.items()]
    lines += ['', 'Against your true frames, of the file as you download it; more is better.']
  return '\n'.join([*lines, *(f'\n{html.escape(note)}' for note in result.notes)])


class Handlers:
  """What happens on a click; files are found by the session, never by what the browser names."""

  def __init__(self, run: api.Translator, sessions: Sessions):
    self.run, self.sessions = run, sessions

  def limits_text(self) -> str:
    """What may be dropped, in a line."""
    limits = self.sessions.limits
    return f'At most {limits.max_mb:g} MB; films of at most {limits.max_seconds:g} seconds.'

  def take_source(self, path: str, request: gr.Request):
    """Outputs of an upload: file, what it is or why it is not taken, the button."""
    taken = self._take('source', path, request)
    return (*taken, self._button(request)) if taken else (gr.skip(),) * 3

  def take_truth(self, path: str, request: gr.Request):
    """Outputs of an upload: file, what it is or why it is not taken."""
    return self._take('truth', path, request) or (gr.skip(),) * 2

  def drop_source(self, request: gr.Request):
    """Outputs of an upload that is taken back: the limits, the button."""
    self.sessions.drop(request.session_hash, 'source')
    return self.limits_text(), self._button(request)

  def drop_truth(self, request: gr.Request):
    """The limits, where the true frames are taken back."""
    self.sessions.drop(request.session_hash, 'truth')
    return self.limits_text()

  def translate(self, request: gr.Request, progress=gr.Progress()):  # noqa: B008 (gradio's way)
    """Outputs of the translation: pair, moment, film, download, scores."""
    session = self._session(request)
    progress(0, 'Preparing the networks for this size')
    try:
      result = work.translate(self.run, session, lambda done, total: progress(
          (done, total), 'Translating', unit='frames'))
    except UserError as error:
      raise gr.Error(html.escape(str(error)), duration=None) from error
    except work.Gone:
      return (gr.skip(),) * 5
    except Exception as error:
      if not session.open:   # its folder went while a file was written there
        return (gr.skip(),) * 5
      logging.exception('a translation failed')
      raise gr.Error('That failed on the server, whose terminal says why.') from error
    return outputs(result)

  def look(self, moment: float, request: gr.Request):
    """The pair of pictures at a moment."""
    moments = self.sessions.of(request.session_hash).moments
    return moments[min(max(int(moment), 1), len(moments)) - 1] if moments else gr.skip()

  def leave(self, request: gr.Request):
    """The page was closed: nothing of it is kept."""
    self.sessions.close(request.session_hash)

  def _take(self, part, path, request):
    """(file, words), or None: the next upload says what is there."""
    try:
      upload = self.sessions.take(request.session_hash, part, path)
    except Replaced:
      return None
    except UserError as error:
      gr.Warning(html.escape(str(error)))
      return None, f'**{html.escape(str(error))}**'
    return gr.skip(), f'{str(upload).capitalize()}.'

  def _button(self, request):
    return gr.update(interactive='source' in self._session(request).files)

  def _session(self, request):
    try:
      return self.sessions.of(request.session_hash)
    except UserError as error:
      raise gr.Error(html.escape(str(error)), duration=None) from error


def outputs(result: work.Result) -> tuple:
  """What the page shows of a result: pair, moment, film, download, scores."""
  count, text = len(result.moments), scores_text(result)
  middle = (count + 1) // 2
  return (result.moments[middle - 1],
          gr.update(maximum=max(count, 2), value=middle, visible=count > 1),
          gr.update(value=result.beside, visible=result.beside is not None),
          gr.update(value=result.download, visible=True),
          gr.update(value=text, visible=bool(text)))
