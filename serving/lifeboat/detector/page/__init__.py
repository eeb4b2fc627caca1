"""The detector's page."""
