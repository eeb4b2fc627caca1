"""What a data scientist imports to say what a use case is."""
