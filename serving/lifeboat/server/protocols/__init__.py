"""The protocols that the model server speaks."""
