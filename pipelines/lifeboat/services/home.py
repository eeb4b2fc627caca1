"""Whether a home is one, and whose."""

from __future__ import annotations

import os
import pwd
import stat

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings

_REMEDY = "choose one of your own by --home or LIFEBOAT_HOME"


def check_home(settings: Settings) -> bool:
    """Whether the home is there, which it is from the first run on.

    Raises:
        SettingsError: it is no directory, or one that this user cannot look into, such as another user's.
    """
    home = settings.home_path
    try:
        found = home.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SettingsError(f"the home {home} cannot be looked at: {error.strerror}; {_REMEDY}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise SettingsError(f"the home {home} is no directory; {_REMEDY}")
    # Its owner's may be on a file system that is read-only by now, and still be looked at and stopped.
    if found.st_uid != os.geteuid() and not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(f"the home {home} belongs to {_user(found.st_uid)}, and so does what runs there; {_REMEDY}")
    if not os.access(home, os.R_OK | os.X_OK):
        mode = stat.filemode(found.st_mode)
        raise SettingsError(
            f"the home {home} cannot be looked into, its mode is {mode}: make it yours with chmod u+rwx"
        )
    return True


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
