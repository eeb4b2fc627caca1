"""Progress notes of a step: lines of its output, and events for whoever runs the step and wants to know them apart."""

from collections.abc import Callable

# In front of a note, for those who read the output among a library's chatter.
MARK = "lifeboat> "
# Starts the note about a candidate that training cannot use, which a run repeats at its end.
LEFT_OUT = "left out: "

_listeners: list[Callable[[str], None]] = []


def say(text: str) -> None:
    """Tells a note to those who listen in this process, then prints it at once."""
    for listener in _listeners:
        listener(text)
    print(f"{MARK}{text}", flush=True)


def listen(listener: Callable[[str], None]) -> None:
    """From now on every note of this process goes to `listener` before it is printed."""
    _listeners.append(listener)


def quiet(_: str) -> None:
    """Takes the place of `say` where nobody is to hear."""
