"""The home page's HTTP: GET only, nothing that changes anything, and only to whoever asks for this machine by its name.

A page of the web may ask a server of this machine from within a browser. It cannot read the answer, unless it lets its
own name lead to this machine (DNS rebinding): so a request must name an address, or a host that was told us.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lifeboat.config.errors import LifeboatError
from lifeboat.http import app as http
from lifeboat.http.access import OPEN, Access
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import Request, Response
from lifeboat.system import log
from lifeboat.ui.home import HomeReader
from lifeboat.ui.navigation import with_navigation
from lifeboat.ui.rendering import FILE_POLICY, policy, render_home, render_missing
from lifeboat.ui.static_pages import FoundPage, StaticPages

HTML, TEXT = b"text/html; charset=utf-8", b"text/plain; charset=utf-8"
# Of a log, from its end.
LOG_BYTES = 1024 * 1024
_HEADERS = (
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
    b"cross-origin-resource-policy: same-origin\r\ncross-origin-opener-policy: same-origin\r\n"
)
_THREADS = 4


class App:
    """The routes.

    Args:
        reader: of the home.
        home: its path.
        hosts: names that this server may be asked by, besides addresses and localhost.
        access: says who may look; None where everybody may.
    """

    def __init__(self, reader: HomeReader, home: Path, hosts: Iterable[str] = (), access: Access | None = None) -> None:
        self._reader, self._hosts = reader, frozenset({"localhost", *(host.lower() for host in hosts)})
        self._pages = StaticPages(home, reader.versions, reader.drift_page)
        self._threads = ThreadPoolExecutor(_THREADS)
        self._showing: set[asyncio.Task[None]] = set()
        self.http = http.App(http.Uncounted(), log_requests=False, log_payloads=False, error=_error, access=access)
        self.http.add("GET", "/", self._later(lambda _: self._home()))
        for prefix in ("/runs/", "/loops/", "/models/"):
            self.http.add_prefix("GET", prefix, self._later(self._file))
        self.http.add("GET", "/live /ready", lambda _: Response(200, b"ok\n", TEXT, _HEADERS), rights=OPEN)

    def handle(self, request: Request) -> None:
        """Answers whoever names this server."""
        host = request.headers.get(b"host", b"").decode("latin-1")
        if is_own_host(host, self._hosts):
            self.http.handle(request)
        else:
            words = f"this page is not that of {host[:80]}: ask for it by the address it was given"
            self.http.answer(request, _error(RequestError(421, words)))

    def _later(self, work: Callable[[Request], Response]) -> http.Handler:
        """Answers from a thread: files, sockets and a database are read."""

        def handle(request: Request) -> None:
            task = asyncio.get_running_loop().create_task(self._work(request, work))
            self._showing.add(task)
            task.add_done_callback(self._showing.discard)

        return handle

    async def _work(self, request: Request, work: Callable[[Request], Response]) -> None:
        try:
            response = await asyncio.get_running_loop().run_in_executor(self._threads, work, request)
        except RequestError as error:
            response = _error(error)
        except (LifeboatError, sqlite3.Error, OSError) as error:
            response = _error(RequestError(503, f"it cannot be read now: {error}"))
        except Exception as error:
            log.error("a request failed", error, path=request.shown_path)
            response = _error(RequestError(500, "an error of the home page's own; see its log"))
        self.http.answer(request, response)

    def _home(self) -> Response:
        return _html(render_home(self._reader.read()), policy())

    def _file(self, request: Request) -> Response:
        path = request.path.decode("latin-1")
        found = self._pages.find(path)
        if found is None:
            raise RequestError(404, f"there is nothing at {path[:200]}")
        if found.file.suffix == ".html":
            return _html(_page(found, path), FILE_POLICY)
        return Response(200, _end_of(found.file), TEXT, _HEADERS)


def is_own_host(header: str, hosts: Iterable[str]) -> bool:
    """Whether the header Host names this server: an IP address, which no name can be made to lead to, or one of hosts.

    Args:
        header: with or without a port; an address of version 6 in brackets.
        hosts: in lower case.
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in hosts
    return True


def _page(found: FoundPage, here: str) -> str:
    return with_navigation(found.file.read_text(encoding="utf-8"), here, found.subject, found.beside)


def _end_of(file: Path) -> bytes:
    """The end of a file, from the beginning of a line on."""
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - LOG_BYTES))
        content = opened.read()
    return content if size <= LOG_BYTES else b"...\n" + content.partition(b"\n")[2]


def _html(page: str, allowed: str, status: int = 200, more: bytes = b"") -> Response:
    headers = b"%bcontent-security-policy: %b\r\n%b" % (_HEADERS, allowed.encode(), more)
    return Response(status, page.encode(), HTML, headers)


def _error(error: RequestError) -> Response:
    titles = {404: "Not here", 405: "Nothing can be changed here", 421: "Not this server"}
    title = titles.get(error.status, "It cannot be shown")
    return _html(render_missing(title, error.info), FILE_POLICY, error.status, error.headers)
