"""What kind of answer a label asks for, and all that depends on it."""
