"""Rows whose truth came later: the store, its sources, and whose word counts."""
