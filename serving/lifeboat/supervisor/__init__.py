"""The laptop's stand-in for Kubernetes: a public port, and the model server behind it."""
