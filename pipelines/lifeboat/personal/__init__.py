"""What is kept of people, for how long, and how somebody is forgotten."""
