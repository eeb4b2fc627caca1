"""A run: cases are made, sent over some connections at once, and judged as their answers come."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.http.framing import Answer

from .case import DETECTOR, MODEL, Case
from .events import SOUND
from .figures import MIB, Figures, Finding
from .grammar import Grammar
from .oracles import Oracles
from .processes import read_errors
from .wire import Talk, Wire, connect
from .world import World

# Requests that are sent ahead on a connection: fewer than the 32 of which a server stops reading.
BATCH = 24
LANES = {MODEL: 8, DETECTOR: 3}
ALONE = 24
# Cases that are made and not sent.
MADE = 400
MOST_FINDINGS = 10
# Events that are sent until the detector is asked how many wait, and how many may.
EVENTS, WAITING = 3_000, 20_000
# Bytes that a server and its children may hold more at the end than once they were warm. What is held for a moment, as
# bodies of a thousand rows are, leaves room that is used again: it comes in steps and ends. The detector's connections
# to its database have a cache of 16 MB each. In a million requests the bounds are 40, 96 and 16 bytes each.
GROWTH = {MODEL: 40 * MIB, DETECTOR: 96 * MIB, "trigger": 16 * MIB}
# Descriptors beyond those of the start: the detector's threads and its judge have some of their own.
DESCRIPTORS = {MODEL: 4, DETECTOR: 24, "trigger": 8}
SETTLE_SECONDS = 15.0
ROWS_KNOWN = 40_000


class Lane:
    """A connection that is kept."""

    def __init__(self, server: str, port: int) -> None:
        self.server, self._port = server, port
        self.busy = False
        self._link: socket.socket | None = None

    @property
    def link(self) -> socket.socket:
        """Connected."""
        if self._link is None:
            self._link = connect(self._port)
        return self._link

    def drop(self) -> None:
        """The next use connects anew."""
        if self._link is not None:
            self._link.close()
            self._link = None


class Run:
    """One run.

    Args:
        world: the servers.
        seed: of the cases.
        indices: of the cases, in order.
        warm: number of cases after which growth of memory counts.
    """

    def __init__(self, world: World, seed: str, indices: range, warm: int) -> None:
        self._world, self._indices, self._warm = world, indices, warm
        self.figures = Figures(seed, indices.start)
        self._grammar = Grammar(seed, world.facts)
        self._oracles = Oracles(world.tags, self._ask_alone)
        self._wire, ports = Wire(), world.facts.ports
        self._lanes = [Lane(name, ports[name]) for name, number in LANES.items() for _ in range(number)]
        self._waiting: dict[str, deque[tuple[int, Case]]] = {MODEL: deque(), DETECTOR: deque(), "alone": deque()}
        self._alone = self._since_asked = 0
        self._asking = False
        self._ask_at = 0.0
        self._asker, self._asking_wire = Lane(MODEL, ports[MODEL]), Wire()
        self._known: OrderedDict[bytes, tuple[float, float] | int] = OrderedDict()

    def run(self, progress: Callable[[Figures], None] = lambda _: None) -> None:
        """Sends all cases, or as many as it takes to find enough."""
        figures, began, told = self.figures, time.monotonic(), 0.0
        figures.before = self._world.held()
        cases = self._cases()
        try:
            while self._step(cases):
                figures.seconds = time.monotonic() - began
                if figures.seconds - told >= 1:
                    told = figures.seconds
                    progress(figures)
                if not figures.warm and figures.requests >= self._warm:
                    figures.warm = self._world.held()
        finally:
            figures.seconds = time.monotonic() - began
            self._wire.close()
            self._asking_wire.close()
            for lane in (*self._lanes, self._asker):
                lane.drop()

    def check(self) -> None:
        """What holds of the servers afterwards: they are the same, ready, no larger, and have counted all."""
        figures, world = self.figures, self._world
        for name, status in world.ready().items():
            if status != 200:
                self._find(-1, None, f"{name} is not ready: {status}")
        self._check_counts()
        for name, held in self._settled().items():
            before, warm = figures.before[name], figures.warm.get(name, held)
            # The detector starts its judge anew now and then.
            same = held.pids == before.pids if name == MODEL else held.pids[0] == before.pids[0]
            if not same:
                self._find(-1, None, f"{name}: the processes were {before.pids}, they are {held.pids}")
            if held.pss > warm.pss + GROWTH[name]:
                grown, bound = (held.pss - warm.pss) / MIB, GROWTH[name] / MIB
                self._find(-1, None, f"{name} has grown by {grown:.1f} MB, the bound is {bound:.0f}")
            if held.descriptors > before.descriptors + DESCRIPTORS[name]:
                self._find(-1, None, f"{name} had {before.descriptors} descriptors, it has {held.descriptors}")
        for name, log in world.logs.items():
            for line in read_errors(log):
                self._find(-1, None, f"{name} has logged: {line[:3000]}")

    def _check_counts(self) -> None:
        figures = self.figures
        report = self._world.report()
        metrics = self._world.detector.metrics()
        counted = sum(value for name, value in metrics.items() if name.startswith("lifeboat_drift_events_total{"))
        duplicates = metrics["lifeboat_drift_duplicates_total"]
        if counted + duplicates != figures.accepted:
            self._find(
                -1,
                None,
                f"{figures.accepted} events were acknowledged, {counted:g} and {duplicates:g} duplicates counted",
            )
        envelope = metrics.get('lifeboat_drift_refused_total{reason="envelope"}', 0)
        if envelope < figures.refused:
            self._find(-1, None, f"{figures.refused} events were refused, {envelope:g} are counted as such")
        if broken := metrics.get('lifeboat_drift_refused_total{reason="internal error"}', 0):
            self._find(-1, None, f"{broken:g} events were lost by an error of the detector's own")
        rows = sum(one["rows"] for one in report["models"] if one["version"] == SOUND)
        if rows != figures.rows:
            self._find(-1, None, f"{figures.rows} rows of intact predictions were sent, the windows hold {rows}")

    def _settled(self) -> dict[str, object]:
        """What they hold once the connections are gone."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            held = self.figures.after = self._world.held()
            many = [
                name
                for name, one in held.items()
                if one.descriptors > self.figures.before[name].descriptors + DESCRIPTORS[name]
            ]
            if not many or time.monotonic() > deadline:
                return held
            time.sleep(0.2)

    def _cases(self) -> Iterator[tuple[int, Case]]:
        for index in self._indices:
            yield index, self._grammar.case(index)

    def _step(self, cases: Iterator[tuple[int, Case]]) -> bool:
        """Makes some cases, begins what can be begun, and sees to what goes; False once all is done."""
        waiting, stopped = self._waiting, len(self.figures.findings) >= MOST_FINDINGS
        ended = stopped
        while not ended and sum(map(len, waiting.values())) < MADE:
            made = next(cases, None)
            if made is None:
                ended = True
            else:
                waiting["alone" if made[1].alone else made[1].server].append(made)
        if stopped:
            for queue in waiting.values():
                queue.clear()
        self._begin_batches(ended)
        while waiting["alone"] and self._alone < ALONE:
            self._begin_alone(*waiting["alone"].popleft(), end=True)
        if len(self._wire):
            self._wire.turn(0.02)
        elif any(waiting.values()):
            time.sleep(0.01)
        return not ended or bool(len(self._wire)) or any(waiting.values())

    def _begin_batches(self, ended: bool) -> None:
        if self._since_asked >= EVENTS and not self._asking and time.monotonic() >= self._ask_at:
            self._ask_how_many_wait()
        for lane in self._lanes:
            queue = self._waiting[lane.server]
            if lane.busy or (lane.server == DETECTOR and self._since_asked >= EVENTS):
                continue
            full = len(queue) >= BATCH or sum(map(len, self._waiting.values())) >= MADE
            if queue and (full or ended):
                self._begin_batch(lane, [queue.popleft() for _ in range(min(BATCH, len(queue)))])

    def _begin_batch(self, lane: Lane, batch: list[tuple[int, Case]]) -> None:
        lane.busy = True
        number = sum(len(case.parts or ()) for _, case in batch)
        content = b"".join(case.content for _, case in batch)
        try:
            link = lane.link
        except OSError as error:
            self._find(*batch[0], f"no connection: {error}")
            return

        def done(talk: Talk) -> None:
            lane.busy = False
            if talk.closed or talk.problem:
                lane.drop()
            self._judge_batch(batch, talk)

        self._wire.begin(Talk(link, [content], number, lambda _: False, False, done))

    def _judge_batch(self, batch: list[tuple[int, Case]], talk: Talk) -> None:
        final = [answer for answer in talk.answers if answer.status != 100]
        start = 0
        for place, (index, case) in enumerate(batch):
            end = start + len(case.parts or ())
            if end > len(final):
                why = talk.problem or "the connection was closed without an answer"
                self._find(index, case, why)
                # Those behind it were not to blame.
                self._waiting[case.server].extend(batch[place + 1 :])
                return
            self._judge(index, case, final[start:end])
            for answer in final[start:end]:
                if answer.headers.get("connection") == "close":
                    self._find(index, case, f"it ends a connection that was to be kept: {answer.body[:300]!r}")
                    self._waiting[case.server].extend(batch[place + 1 :])
                    return
            start = end
        if talk.problem:
            self._find(*batch[-1], talk.problem)

    def _begin_alone(self, index: int, case: Case, end: bool) -> None:
        places = [0, *case.cuts, len(case.content)]
        segments = [case.content[start:stop] for start, stop in pairwise(places) if stop > start]
        parts = case.parts
        if parts is None:
            heads = lambda number: number < case.heads  # noqa: E731  # two of a kind
        else:
            heads = lambda number: number < len(parts) and parts[number].head  # noqa: E731

        def done(talk: Talk) -> None:
            talk.link.close()
            self._alone -= 1
            self._judge_alone(index, case, talk, end)

        self._alone += 1
        try:
            link = connect(self._world.facts.ports[case.server])
        except OSError as error:
            self._alone -= 1
            self._find(index, case, f"no connection: {error}")
            return
        self._wire.begin(Talk(link, segments, None, heads, case.end and end, done))

    def _judge_alone(self, index: int, case: Case, talk: Talk, end: bool) -> None:
        if talk.problem:
            self._find(index, case, talk.problem)
            return
        unknown = case.parts is None and case.statuses is None
        if not talk.answers and unknown and case.content.strip(b"\r\n"):
            if end and index % 8 == 0:
                # It was no whole request when its client left; one that stays is told so.
                self._begin_alone(index, case, end=False)
                return
            if not end:
                self._find(index, case, "the connection was closed without an answer")
                return
        if not unknown and talk.slow and any(answer.status == 408 for answer in talk.answers):
            self._waiting["alone"].append((index, case))
            return
        self._judge(index, case, talk.answers)

    def _judge(self, index: int, case: Case, answers: list[Answer]) -> None:
        self.figures.count(case, answers)
        if problem := self._oracles.judge(case, answers):
            self._find(index, case, problem)
        if case.server == DETECTOR:
            self._count_events(case, answers)

    def _count_events(self, case: Case, answers: list[Answer]) -> None:
        """What was acknowledged, by whichever kind of case."""
        figures = self.figures
        for answer in answers:
            if answer.status == 200 and answer.body.startswith(b'{"accepted"'):
                document = json.loads(answer.body)
                figures.accepted += document["accepted"]
                figures.refused += document.get("refused", 0)
                self._since_asked += document["accepted"]
            elif answer.status == 400 and case.kind == "events":
                figures.refused += 1
        if case.rows and all(answer.status == 200 for answer in answers):
            figures.rows += case.rows

    def _ask_how_many_wait(self) -> None:
        self._asking = True
        link = connect(self._world.facts.ports[DETECTOR])
        content = b"GET /drift HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"

        def done(talk: Talk) -> None:
            talk.link.close()
            self._asking = False
            self._ask_at = time.monotonic() + 0.2
            if talk.problem or not talk.answers or talk.answers[0].status != 200:
                self._find(-1, None, f"the detector gives no report: {talk.problem} {talk.answers[:1]}")
            elif json.loads(talk.answers[0].body)["events"]["waiting"] < WAITING:
                self._since_asked = 0

        self._wire.begin(Talk(link, [content], None, lambda _: False, False, done))

    def _ask_alone(self, body: bytes) -> tuple[float, float] | int:
        """The probabilities of a row that is asked alone, or the status with which it is refused."""
        found = self._known.get(body)
        if found is not None:
            return found
        head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        answers: list[Talk] = []
        talk = Talk(self._asker.link, [head % len(body) + body], 1, lambda _: False, False, answers.append)
        self._asking_wire.begin(talk)
        while not answers:
            self._asking_wire.turn(0.1)
        if talk.problem or talk.closed or not talk.answers:
            self._asker.drop()
            return 0
        answer = talk.answers[0]
        pair = json.loads(answer.body)["data"]["ndarray"][0] if answer.status == 200 else None
        found = answer.status if pair is None else (pair[0], pair[1])
        self._known[body] = found
        if len(self._known) > ROWS_KNOWN:
            self._known.popitem(last=False)
        return found

    def _find(self, index: int, case: Case | None, problem: str) -> None:
        self.figures.findings.append(Finding(index, problem, case))
        sys.stderr.write("\n" + self.figures.findings[-1].describe(self.figures.seed))
