"""Tables: reading them, checking them, dividing them."""
