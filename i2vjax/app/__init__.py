"""A page in the browser that translates what is dropped on it.

Its extra is `app`. It stands on the Python interface (docs/python.md) and on nothing below it.
Gradio is imported when the page is built, so that all else can be tested without it.
"""

from i2vjax.app.server import Server, serve

__all__ = ['Server', 'serve']
