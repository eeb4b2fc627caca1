"""Why a model answers as it does, over all held-out rows: what each column is worth to it, and what it makes of it."""
