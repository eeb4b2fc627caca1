"""A fourth kind of answer, made by somebody else: a count, by its rate. Lifeboat has not a line of it.

It is found as a package's own kind is: by an entry point of the group `lifeboat.labels`.
"""
