"""A systemd user unit that runs `lifeboat serve`: what is deployed comes back after a reboot."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import sys
from dataclasses import fields
from pathlib import Path

from lifeboat.config.errors import SettingsError, StorageError
from lifeboat.config.settings import Settings, inherited, variable
from lifeboat.system.files import write_text

# Of a systemd that runs on this machine.
RUNS = Path("/run/systemd/system")
MISSING = "there is no systemd on this machine (no systemctl): let what starts services here run lifeboat serve"
# Beyond the time that the servers drain in.
STOP_SECONDS = 120

UNIT = """\
# Written by: lifeboat serve --install
[Unit]
Description=Lifeboat: what is deployed from {home}

[Service]
{environment}
# LIFEBOAT_...=value, a line each, for what no other file should hold: the keys of an object store, for instance.
EnvironmentFile=-{secrets}
ExecStart=/usr/bin/env {command}
Restart=on-failure
RestartSec=5
# It ends its servers itself, in order.
KillMode=mixed
TimeoutStopSec={stop}

[Install]
WantedBy=default.target
"""


def install(settings: Settings) -> list[str]:
    """Writes the unit of a home and gives lines for people: where it is, and how to enable it.

    Args:
        settings: of the home; those that are secret are left out.

    Raises:
        SettingsError: there is no systemd, or a setting that a unit cannot hold.
        StorageError: the unit cannot be written.
    """
    if shutil.which("systemctl") is None:
        raise SettingsError(MISSING)
    path = unit_path(settings)
    write_text(path, unit(settings))
    lines = [
        f"wrote {path}; what it needs now:",
        "  systemctl --user daemon-reload",
        f"  systemctl --user enable --now {shlex.quote(path.name)}",
        "  loginctl enable-linger  # so that it serves while nobody is signed in",
        "it can be removed with: lifeboat serve --uninstall",
    ]
    left_out = [variable(spec.name) for spec in fields(settings) if not spec.repr and getattr(settings, spec.name)]
    if left_out:
        lines.append(f"not in it, being secret: {', '.join(left_out)}; put them into {_secrets_file(settings)}")
    if not RUNS.is_dir():
        lines.append(f"systemd does not run on this machine now ({RUNS} is missing), so that nothing reads it")
    return lines


def uninstall(settings: Settings) -> list[str]:
    """Removes the unit of a home and gives lines for people.

    Raises:
        SettingsError: there is none.
    """
    path = unit_path(settings)
    if not path.exists():
        raise SettingsError(f"there is no unit of {settings.home_path}: {path} does not exist")
    path.unlink()
    return [
        f"removed {path}; if it was enabled, end it with:",
        f"  systemctl --user disable --now {shlex.quote(path.name)}",
        "  systemctl --user daemon-reload",
    ]


def unit(settings: Settings) -> str:
    """The text of the unit of a home.

    Raises:
        SettingsError: a setting or a path has a line's end in it.
    """
    command = [sys.executable, "-m", "lifeboat.cli.main", "serve"]
    given = {spec.name: str(getattr(settings, spec.name)) for spec in fields(settings) if spec.repr}
    chosen = settings.environment()
    lines = [_environment(name, text) for name, text in given.items() if chosen[variable(name)]]
    return UNIT.format(
        home=_line(str(settings.home_path)),
        environment="\n".join(lines),
        secrets=_line(str(_secrets_file(settings))),
        # `$` stands for a variable in a command, and there only; not in its first word, which therefore is env.
        command=" ".join(_quoted(word).replace("$", "$$") for word in command),
        stop=STOP_SECONDS,
    )


def unit_path(settings: Settings) -> Path:
    """Where the unit of a home is, or is going to be: under a name of its own, whatever other homes there are."""
    config = inherited().get("XDG_CONFIG_HOME") or Path.home() / ".config"
    home = settings.home_path
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", home.name.strip(".")).strip("-")
    marker = _environment("home", str(home))
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    # The default home of a checkout needs no name, until a second one comes.
    usual = "lifeboat" if name == "lifeboat" else f"lifeboat-{name or digest}"
    paths = [Path(config, "systemd", "user", f"{one}.service") for one in (usual, f"{usual}-{digest}")]
    return next((path for path in paths if _is_free(path, marker)), paths[-1])


def _is_free(path: Path, marker: str) -> bool:
    """Whether there is no unit, or that of this home."""
    try:
        return marker in path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return True
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def _environment(name: str, text: str) -> str:
    """The line that gives a setting."""
    return f"Environment={_quoted(f'{variable(name)}={text}')}"


def _secrets_file(settings: Settings) -> Path:
    return settings.home_path / "serve.env"


def _line(text: str) -> str:
    """A text in a line that systemd takes as it is, but for its specifiers."""
    if re.search(r"[\r\n\0]", text):
        raise SettingsError(f"{text!r} has a line's end in it, which a unit cannot hold")
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """A word of a line that systemd splits."""
    return '"' + _line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
