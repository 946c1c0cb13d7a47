"""Several runs in one table: which (lineup), the work (compare), the page (tables, drawings)."""
