"""The model, loaded."""
