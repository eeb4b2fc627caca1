"""What the notebooks need beside `lifeboat.api`: a copy that serves, a wait, a page and plots."""
