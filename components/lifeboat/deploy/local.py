"""The laptop's target: a model server behind a supervisor that holds the port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from lifeboat.config.errors import DeployError, LifeboatError, PortError, StorageError
from lifeboat.config.home_access import home_token, server_access
from lifeboat.config.home_ports import HomePorts
from lifeboat.config.settings import Settings
from lifeboat.deploy.deployed import Deployed, write_deployed
from lifeboat.deploy.probe import check_golden, compare
from lifeboat.deploy.step import undo
from lifeboat.deploy.timeline import Say
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.registry.versions import Version
from lifeboat.supervisor.control import Control, Serving, ensure_supervisor, find_supervisor
from lifeboat.supervisor.state import STATE_FILE
from lifeboat.system.addresses import DETECTOR, EXPLAINER, HOME_PAGE, server_of
from lifeboat.system.files import holding_lock, waiting_for

# How often others are faster than the supervisor at the ports it was given.
_ATTEMPTS = 5
# The servers of a supervisor that was killed give their ports back at once, but not in the same instant.
_KILLED_SECONDS = 5.0
# A rollout waits this long for another one, which loads a model and drains the old server.
_TURN_SECONDS = 300.0


class LocalTarget:
    """Serves one use case on 127.0.0.1.

    Args:
        settings: ports, state directory and the interpreter of the serving environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def turn(self, name: str, say: Say) -> AbstractContextManager[None]:
        """As `lifeboat.deploy.step.Target` says."""
        return holding_lock(
            self._settings.serving_state(name) / "rollout.lock",
            waiting_for(
                _TURN_SECONDS,
                lambda: say(f"another rollout of {name} is under way: waiting for its end"),
                lambda: DeployError(f"another rollout of {name} did not end within {_TURN_SECONDS:g} s"),
            ),
        )

    def roll_out(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        """As `lifeboat.deploy.step.Target` says; on other ports where somebody else is faster.

        Raises:
            PortError: the user chose a port that somebody has, or that the supervisor that runs has not.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._roll_out(bundle, version, commit, say)
            except PortError as error:
                if HomePorts(self._settings).chosen(server_of(version.name)):
                    raise
                say(f"{error}: trying again")
        return self._roll_out(bundle, version, commit, say)

    def _roll_out(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        with self._connect(version.name, say) as control:
            status = control.status()
            old = status.serving
            try:
                self._bring_up(control, bundle, version, status.url if old else None, say)
            except PortError:
                if old is None:  # the supervisor is new, and somebody else listened first
                    control.stop()
                raise
            try:
                commit()
            except LifeboatError as error:
                undo(lambda: self._bring_back(control, old, say), error, say)
                raise
            self._record(bundle, version, say)
            return status.url

    def _record(self, bundle: Bundle, version: Version, say: Say) -> None:
        record = Deployed(version.name, version.version, bundle.digest, str(bundle.directory.resolve()))
        try:
            write_deployed(self._settings.serving_state(version.name), record)
        except StorageError as error:  # it serves, and is the champion
            say(f"that it is deployed is not on record, so that lifeboat serve would not bring it back: {error}")

    def _connect(self, name: str, say: Say) -> Control:
        """The supervisor that runs, or one that is started."""
        chosen, state, home = self._settings, self._settings.serving_state(name), HomePorts(self._settings)
        if control := find_supervisor(state):
            return _agreed(control, home, server_of(name))
        killed = (state / STATE_FILE).exists()
        ports = home.reserve(server_of(name), say, _KILLED_SECONDS if killed else 0.0)
        return ensure_supervisor(state, chosen.host, ports, chosen.server_python, self._server_settings(home, say))

    def _server_settings(self, home: HomePorts, say: Say) -> dict[str, str]:
        """Where the servers send events, which wait for a detector, where they ask for the reasons of answers, the page
        that theirs leads to, who may ask them, and where their traces go."""
        chosen = self._settings
        wanted = {DETECTOR: bool(chosen.drift_python), EXPLAINER: chosen.explainer, HOME_PAGE: chosen.ui}
        for service, is_wanted in wanted.items():
            if is_wanted and not home.kept(service):
                home.reserve(service, say)
        return {
            "events_url": home.events_url, "explainer_url": home.explainer_url, "home_url": home.home_page_url,
            "features_url": chosen.features_url, "features_milliseconds": f"{chosen.features_milliseconds:g}",
            **chosen.of_services.observed, **server_access(chosen),
        }  # fmt: skip

    def _bring_up(self, control: Control, bundle: Bundle, version: Version, public: str | None, say: Say) -> None:
        token = home_token(self._settings)
        candidate = control.start(bundle.directory, version.name, version.version)
        say(f"version {version.version} is ready at {candidate.url}")
        check_golden(candidate.url, bundle, say, token)
        if public:
            compare(candidate.url, public, bundle, say, token)
        control.promote()
        say("it has taken over the public port, the old one is drained" if public else "it has the public port")

    def _bring_back(self, control: Control, old: Serving | None, say: Say) -> None:
        """The server that served before; the first one ever is stopped instead."""
        if old is None:
            control.stop()
            return
        bundle = open_bundle(old.bundle)
        self._bring_up(control, bundle, Version(old.name, old.version, old.digest, ""), None, say)


def _agreed(control: Control, home: HomePorts, service: str) -> Control:
    """The connection, unless the user chose other ports than those that its supervisor has."""
    if refusals := home.mismatches(service, control.status().ports):
        control.close()
        raise PortError(refusals[0])
    return control
