"""What a person is shown of each kind of answer: curves and counts, plots, and words."""
