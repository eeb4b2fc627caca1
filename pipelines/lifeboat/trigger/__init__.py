"""The retrain trigger: takes Alertmanager's webhook and starts the pipeline, once per alert and never too often."""
