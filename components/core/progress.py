"""Progress lines of a step: marked, so that whoever runs the step can tell them from a library's chatter."""

MARK = "lifeboat> "


def say(text: str) -> None:
    """Prints one progress line at once."""
    print(f"{MARK}{text}", flush=True)
