"""The pipeline: compiled, run on this machine, submitted."""
