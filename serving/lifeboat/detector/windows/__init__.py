"""The versions that predict, and the windows of their rows."""
