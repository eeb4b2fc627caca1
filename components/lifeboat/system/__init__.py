"""What the operating system gives: files, addresses, logs, waiting."""
