"""The home page: one address of a home from which every page is found."""
