"""A project of the user's own: guessed from a table, written from templates."""
