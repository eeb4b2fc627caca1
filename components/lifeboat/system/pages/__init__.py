"""What every page of ours shares: its look, and how a page is made one file that loads nothing."""
