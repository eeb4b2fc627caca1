"""Labels that come later, and how right a version was."""
