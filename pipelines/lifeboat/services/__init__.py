"""What runs in the background of this machine, and is found again."""
