"""Progress lines of a step: marked, so that whoever runs the step can tell them from a library's chatter."""

MARK = "lifeboat> "
# Starts the line about a candidate that training cannot use, which a run repeats at its end.
LEFT_OUT = "left out: "


def say(text: str) -> None:
    """Prints one progress line at once."""
    print(f"{MARK}{text}", flush=True)


def quiet(_: str) -> None:
    """Takes the place of `say` where nobody is to hear."""
