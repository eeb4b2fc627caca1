"""The task of three classes and more."""
