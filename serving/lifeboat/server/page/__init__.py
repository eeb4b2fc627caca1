"""The server's own page: a form to ask it, and what there is to know of it."""
