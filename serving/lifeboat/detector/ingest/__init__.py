"""Events come in, and become rows or labels."""
