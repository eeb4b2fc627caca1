"""Connections that do not block: many conversations at once, each with what it sends and the answers it waits for."""

from __future__ import annotations

import gzip
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from tests.http.framing import Answer

_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) [ -~]+\r\n")
SECONDS = 20.0
# Less than half of what the servers give a request to arrive.
SLOW_SECONDS = 2.0
READ = 1 << 18


class Talk:
    """One conversation, on a connection that may have been used before.

    Args:
        link: connected and not blocking.
        segments: are sent one after the other, each at a turn of its own.
        answers: how many are waited for, interim ones not counted; None for all until the server closes.
        heads: whether an answer, by its number, is to HEAD.
        end: whether our side is ended after the last segment.
        done: is called once, with this.
    """

    def __init__(
        self,
        link: socket.socket,
        segments: Sequence[bytes],
        answers: int | None,
        heads: Callable[[int], bool],
        end: bool,
        done: Callable[[Talk], None],
    ) -> None:
        self.link, self.done = link, done
        self.answers: list[Answer] = []
        self.problem = ""
        self.closed = False
        self._began = time.monotonic()
        self.deadline = self._began + SECONDS
        self._sent: float | None = None
        self._segments, self._wanted, self._heads, self._end = deque(map(memoryview, segments)), answers, heads, end
        self._received, self._final = bytearray(), 0
        self.sending = True

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return bool(self.problem) or self.closed or (self._wanted is not None and self._final >= self._wanted)

    @property
    def slow(self) -> bool:
        """Whether we, who have much else to do, took so long to send that a server may rightly give up."""
        return self._sent is None or self._sent - self._began > SLOW_SECONDS

    def write(self) -> None:
        """Sends a segment, or as much of it as goes."""
        try:
            if self._segments:
                sent = self.link.send(self._segments[0])
                if sent == len(self._segments[0]):
                    self._segments.popleft()
                else:
                    self._segments[0] = self._segments[0][sent:]
            if not self._segments:
                self.sending, self._sent = False, time.monotonic()
                if self._end:
                    self.link.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            self.sending = False  # it has answered and closed, which is read now
            self._segments.clear()

    def read(self) -> None:
        """Takes what has come."""
        try:
            content = self.link.recv(READ)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.closed, self.problem = True, "the connection was reset"
            return
        if not content:
            self.closed = True
            if self._received:
                self.problem = f"the connection was closed within an answer: {bytes(self._received[:300])!r}"
            return
        self._received += content
        self._cut()

    def _cut(self) -> None:
        received, start = self._received, 0
        while (end := received.find(b"\r\n\r\n", start)) >= 0:
            head = bytes(received[start : end + 2])
            line = _LINE.match(head)
            if line is None:
                self.problem = f"what came is no answer: {head[:300]!r}"
                return
            status = int(line[1])
            found = _LENGTH.search(head)
            if status != 100 and found is None:
                self.problem = f"an answer has no length: {head[:300]!r}"
                return
            length = int(found[1]) if found and not self._heads(self._final) else 0
            if len(received) < end + 4 + length:
                break
            fields = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:-1]]
            headers = {name.lower(): value for name, _, value in fields}
            if len(headers) != len(fields):
                self.problem = f"an answer has a field twice: {head[:300]!r}"
                return
            body = bytes(received[end + 4 : end + 4 + length])
            if body and headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.answers.append(Answer(status, headers, body))
            self._final += status != 100
            start = end + 4 + length
        del received[:start]
        if len(received) > 1 << 24:
            self.problem = "an answer does not end"
        if self._wanted is not None and self._final > self._wanted:
            self.problem = f"{self._final} answers to {self._wanted} requests"


class Wire:
    """All conversations under way."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._talks: dict[int, Talk] = {}

    def __len__(self) -> int:
        return len(self._talks)

    def begin(self, talk: Talk) -> None:
        """Takes one on."""
        number = talk.link.fileno()
        self._talks[number] = talk
        self._poll.register(number, select.EPOLLIN | select.EPOLLOUT)

    def turn(self, seconds: float) -> None:
        """Sends and takes what goes, waits at most so long for any, and calls `done` of what is over."""
        for number, events in self._poll.poll(seconds):
            talk = self._talks[number]
            if events & select.EPOLLOUT and talk.sending:
                talk.write()
                if not talk.sending:
                    self._poll.modify(number, select.EPOLLIN)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                talk.read()
            if talk.over:
                self._finish(number, talk)
        now = time.monotonic()
        for number, talk in list(self._talks.items()):
            if talk.deadline < now:
                talk.problem = f"no answer within {SECONDS:g} s"
                self._finish(number, talk)

    def _finish(self, number: int, talk: Talk) -> None:
        self._poll.unregister(number)
        del self._talks[number]
        talk.done(talk)

    def close(self) -> None:
        """Ends every connection."""
        for talk in self._talks.values():
            talk.link.close()
        self._talks.clear()
        self._poll.close()


def connect(port: int) -> socket.socket:
    """A connection that does not block."""
    link = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setblocking(False)
    return link
