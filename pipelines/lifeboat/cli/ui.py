"""`lifeboat ui`: the one address from which every page of a home is found."""

from __future__ import annotations

import argparse

from lifeboat.config.errors import PortError
from lifeboat.config.settings import Settings
from lifeboat.services.home import check_home
from lifeboat.services.home_page import home_page_service, home_page_url


def ui(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Prints the address; serves the page there unless it is served from the background already.

    Raises:
        PortError: a port that was chosen is somebody's.
        DeployError: it is being started by somebody else at this moment.
    """
    check_home(settings)
    service = home_page_service(settings)
    if refusals := service.problems():
        raise PortError(refusals[0])
    if (running := service.find()).is_running():
        print(f"the home page is at {home_page_url(settings)} already, process {running.pid or 'unknown'}")
        return 0
    # The server's own libraries, which nobody pays for who only asks where the page is.
    from lifeboat.ui.service import serve

    with service.daemon().held(), service.listen(print) as listening:
        address = home_page_url(settings)
        serve(settings, listening, lambda: print(f"the home page is at {address}; Ctrl-C ends it", flush=True))
    return 0
