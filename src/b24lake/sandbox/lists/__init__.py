"""How lists are read: filters, matching ids, pages, and the rendering of rows."""
