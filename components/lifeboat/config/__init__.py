"""What is chosen: settings, options, ports, and the errors that a user meets."""
