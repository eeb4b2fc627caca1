"""The laptop's target: a model server behind a supervisor that holds the port."""

from __future__ import annotations

from collections.abc import Callable

from components.core.bundle import Bundle, open_bundle
from components.core.errors import LifeboatError
from components.core.settings import Settings
from components.core.versions import Version
from components.deploy.probe import check_golden, compare
from components.deploy.step import undo
from components.deploy.timeline import Say
from serving.control import Control, Serving, ensure_supervisor


class LocalTarget:
    """Serves one use case on 127.0.0.1.

    Args:
        settings: ports, state directory and the interpreter of the serving environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def roll_out(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        """As `components.deploy.step.Target` says."""
        with self._connect(version.name) as control:
            status = control.status()
            old = status.serving
            self._bring_up(control, bundle, version, status.url if old else None, say)
            try:
                commit()
            except LifeboatError as error:
                undo(lambda: self._bring_back(control, old, say), error, say)
                raise
            return status.url

    def _connect(self, name: str) -> Control:
        chosen = self._settings
        # Events for a detector that does not run (yet) cost a prediction nothing: they wait, and at worst are dropped.
        events = {"events_url": chosen.events_url} if chosen.events_url else {}
        address = (chosen.host, chosen.port, chosen.metrics_port)
        return ensure_supervisor(chosen.serving_state(name), *address, chosen.server_python, events)

    @staticmethod
    def _bring_up(control: Control, bundle: Bundle, version: Version, public: str | None, say: Say) -> None:
        candidate = control.start(bundle.directory, version.name, version.version)
        say(f"version {version.version} is ready at {candidate.url}")
        check_golden(candidate.url, bundle)
        say(f"it answers the {len(bundle.golden)} golden requests as its bundle says")
        if public:
            compare(candidate.url, public, bundle, say)
        control.promote()
        say("it has taken over the public port, the old one is drained" if public else "it has the public port")

    def _bring_back(self, control: Control, old: Serving | None, say: Say) -> None:
        """The server that served before; the first one ever is stopped instead."""
        if old is None:
            control.stop()
            return
        bundle = open_bundle(old.bundle)
        self._bring_up(control, bundle, Version(old.name, old.version, old.digest, ""), None, say)
