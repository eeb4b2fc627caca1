"""What the notebooks need beside the pipeline's own code: their settings, a wait, a page and plots."""
