"""The data profile: one page on what the rows hold, for the Kubeflow UI and a browser."""
