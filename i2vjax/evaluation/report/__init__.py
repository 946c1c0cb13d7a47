"""Reports of evaluations: text, figures and HTML pages."""
