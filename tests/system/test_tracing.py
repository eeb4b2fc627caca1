"""What is traced, and that nothing waits for whoever takes the traces."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.config.observed import ObservedSettings
from lifeboat.system import otlp
from lifeboat.system.tracing import Span, SpanContext, Tracer, ended, open_tracer, part_of
from tests.ports import free_port
from tests.tracing.collector import collecting

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.mark.parametrize(
    ("text", "is_sampled"),
    [
        (PARENT, True),
        (f"00-{TRACE}-{CALLER}-00", False),
        (f"00-{TRACE}-{CALLER}-03", True),  # a flag that we do not know beside it
        (f"cc-{TRACE}-{CALLER}-01-what-comes", True),  # a version to come, whose first fields are these
        (f"cc-{TRACE}-{CALLER}-01", True),
    ],
)
def test_w3cs_header_is_read(text: str, is_sampled: bool) -> None:
    assert SpanContext.read(text) == (int(TRACE, 16), int(CALLER, 16), is_sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"cc-{TRACE}-{CALLER}-01more",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE[:-1]}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-1",
        PARENT + "\n",
        "00-" + "١" * 32 + f"-{CALLER}-01",  # digits elsewhere
    ],
)
def test_what_is_no_such_header_is_as_none(text: str) -> None:
    assert SpanContext.read(text) is None
    ended_spans: list[Span] = []
    tracer = Tracer(lambda span, *_: ended_spans.append(span), 1.0)
    began = tracer.begin(text, "a", "server")
    assert began is not None
    assert began.parent_id == 0
    assert tracer.follow(text, "a", "consumer") is None


def test_the_caller_decides_and_else_chance() -> None:
    drawn = iter([0.0, 0.249, 0.25, 0.9])
    tracer = Tracer(lambda *_: None, 0.25, chance=lambda: next(drawn))
    assert tracer.begin(PARENT, "a", "server") is not None
    assert tracer.begin(PARENT[:-1] + "0", "a", "server") is None
    assert [tracer.begin("", "a", "server") is not None for _ in range(4)] == [True, True, False, False]
    assert next(drawn, None) is None, "where the caller decides, nothing is drawn"
    for share in (0.0, 1.0):
        always = Tracer(lambda *_: None, share)
        assert {always.begin("", "a", "server") is not None for _ in range(100)} == {bool(share)}


def test_a_part_is_of_the_trace_of_the_whole_and_its_error_is_named_without_its_words() -> None:
    seen: list[tuple[Span, str]] = []
    whole = Tracer(lambda span, _, error: seen.append((span, error)), 1.0).begin(PARENT, "whole", "server")
    with pytest.raises(ValueError, match="Secret"), part_of(whole, "part", rows=3):
        raise ValueError("Ann Secret")
    with part_of(None, "nothing") as nothing:
        assert nothing is None
    assert whole is not None
    with ended(whole):
        pass
    (part, error), (_, none) = seen
    assert (part.name, part.trace_id, part.parent_id, part.attributes) == (
        "part",
        whole.trace_id,
        whole.span_id,
        {"rows": 3},
    )
    assert (error, none) == ("ValueError", "")
    assert whole.parent_id == int(CALLER, 16)


def test_spans_arrive_as_they_were() -> None:
    with collecting() as collector:
        tracer = open_tracer("tests", ObservedSettings(traces=f"{collector.url}/"))
        assert tracer is not None
        tracer.about = {"model": "tiny"}
        span = tracer.begin(PARENT, "a", "server", 1_000)
        assert span is not None
        span.end("broken", 5_000)
        tracer.close(5.0)
    (seen,) = collector.spans
    assert (seen.service, seen.name, seen.kind, seen.trace, seen.parent) == ("tests", "a", "server", TRACE, CALLER)
    assert (seen.started, seen.ended, seen.attributes, seen.error) == (1_000, 5_000, {"model": "tiny"}, "broken")
    assert seen.id == f"{span.span_id:016x}"


def test_a_receiver_that_is_down_costs_neither_time_nor_room(caplog: pytest.LogCaptureFixture) -> None:
    """Many times as many spans as are kept; the newest of them arrive once somebody listens."""
    port = free_port()
    tracer = open_tracer("tests", ObservedSettings(traces=f"http://127.0.0.1:{port}"))
    assert tracer is not None
    begun, number = time.perf_counter(), 3 * otlp.QUEUE
    for place in range(number):
        span = tracer.begin("", "a", "server")
        assert span is not None
        span.attributes["place"] = place
        span.end()
    assert time.perf_counter() - begun < 10
    assert "traces are lost" in wait_for(caplog, "traces are lost")
    with collecting(port) as collector:
        span = tracer.begin("", "last", "server")
        assert span is not None
        span.end()
        deadline = time.monotonic() + 20
        while "last" not in [one.name for one in collector.spans] and time.monotonic() < deadline:
            time.sleep(0.05)
        tracer.close(5.0)
    assert "last" in [one.name for one in collector.spans]
    assert len(collector.spans) <= otlp.QUEUE + otlp.POST
    lost = [record for record in caplog.records if record.message.startswith("traces are lost")]
    assert len(lost) == 1, "a line a minute"
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


def wait_for(caplog: pytest.LogCaptureFixture, message: str) -> str:
    deadline = time.monotonic() + 20
    while message not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.05)
    return caplog.text


def test_the_end_waits_for_a_receiver_that_says_nothing_for_its_time_and_no_longer() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        tracer = open_tracer("tests", ObservedSettings(traces=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        assert tracer is not None
        span = tracer.begin("", "a", "server")
        assert span is not None
        span.end()
        begun = time.perf_counter()
        tracer.close(0.5)
        assert time.perf_counter() - begun < 2
    assert all(thread.daemon for thread in threading.enumerate() if "Otel" in thread.name)


def test_wrong_settings_are_said() -> None:
    assert open_tracer("tests", ObservedSettings()) is None
    for url in ("127.0.0.1:4318", "grpc://a", "http://"):
        with pytest.raises(SettingsError, match="not an http or https URL"):
            open_tracer("tests", ObservedSettings(traces=url))
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match="0 to 1"):
            replace(ObservedSettings(), trace_share=share).check_observed()
    with pytest.raises(SettingsError, match="log_level"):
        ObservedSettings(log_level="loud").check_observed()


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from lifeboat.config.observed import ObservedSettings
from lifeboat.system.tracing import open_tracer
assert open_tracer("a", ObservedSettings()) is None
assert not [name for name in sys.modules if name.startswith("opentelemetry.")]
try:
    open_tracer("a", ObservedSettings(traces="http://127.0.0.1:4318"))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_the_extra_the_setting_is_refused_with_its_name() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SettingsError")
    assert "lifeboat[tracing]" in done.stdout


def test_nobody_imports_opentelemetry_unless_it_is_to_trace() -> None:
    """Not the model server, the explainer nor the detector's code: their images and their start do without."""
    names = "lifeboat.server.lifecycle", "lifeboat.server.rpc.server", "lifeboat.explainer.lifecycle"
    text = f"import sys, {', '.join(names)}; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
