"""The bundle, and the model in it."""
