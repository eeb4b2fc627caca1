"""The task of two classes."""
