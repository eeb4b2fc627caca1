"""The keeper: starts again what ended by itself."""
