"""The task of a number with its interval."""
