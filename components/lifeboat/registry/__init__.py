"""Where models are kept: MLflow for people, object storage for bundles."""
