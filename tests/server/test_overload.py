"""More than a server can take: the surplus is refused at once, the rest is answered as ever."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from statistics import median

from tests.http.test_http import REQUEST
from tests.server.world import ROW_VALUES, Running, call, ndarray, server


async def client(port: int, end: float, latencies: list[float], refused: list[bytes], request: bytes = REQUEST) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        start = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 200"):
            latencies.append(time.monotonic() - start)
        else:
            refused.append(head)
    writer.close()


async def flood(running: Running, clients: int, seconds: float) -> tuple[list[float], list[bytes]]:
    latencies: list[float] = []
    refused: list[bytes] = []
    end = time.monotonic() + seconds
    await asyncio.gather(*(client(running.port, end, latencies, refused) for _ in range(clients)))
    return latencies, refused


def test_surplus_requests_are_answered_503_and_the_others_are_not_slower(bundle: Path) -> None:
    with server(bundle, "--max-pending", "4") as running:
        latencies, refused = asyncio.run(flood(running, 64, 2.0))
        assert refused
        assert all(head.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in head for head in refused)
        latencies.sort()
        # Behind a queue without bound the last of them would have waited for as long as the flood lasts.
        assert latencies[len(latencies) * 99 // 100] < 2.0
        lines = call(running.url + "/metrics").body.decode().splitlines()
        assert f'lifeboat_rejected_total{{reason="overload"}} {len(refused)}' in lines
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200


def test_a_probe_is_answered_soon_while_large_requests_wait(bundle: Path) -> None:
    """Kubernetes asks on a new connection each time, and ends a server that does not answer within seconds."""
    with server(bundle) as running:
        probes, latencies = asyncio.run(probed(running, 64))
        assert median(latencies) > 0.1, "the server was not busy"
        assert median(probes) < median(latencies) / 2, probes


async def probed(running: Running, clients: int) -> tuple[list[float], list[float]]:
    """Seconds of probes, and of the requests of a thousand rows beside them."""
    body = json.dumps(ndarray(*[ROW_VALUES] * 1000)).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    probes: list[float] = []
    latencies: list[float] = []
    refused: list[bytes] = []
    end = time.monotonic() + 3.0

    async def ask() -> None:
        await asyncio.sleep(1.0)
        while time.monotonic() < end:
            start = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            probes.append(time.monotonic() - start)
            await asyncio.sleep(0.05)

    crowd = (client(running.port, end, latencies, refused, request) for _ in range(clients))
    await asyncio.gather(ask(), *crowd)
    assert refused == []
    return probes, sorted(latencies)[clients:]


def test_memory_and_descriptors_stay_flat_under_mixed_load(bundle: Path) -> None:
    with server(bundle, "--max-body", "100000") as running:
        files = Path(f"/proc/{running.process.pid}/fd")
        if not files.is_dir():
            return
        asyncio.run(flood(running, 8, 1.0))
        time.sleep(0.5)
        before = resident(running), len(list(files.iterdir()))
        for _ in range(3):
            asyncio.run(flood(running, 16, 0.7))
            call(running.url + "/predict", b"[" * 90_000)
            call(running.url + "/predict", ndarray(*[ROW_VALUES] * 900))
        assert resident(running) < before[0] + 12e6
        deadline = time.monotonic() + 5
        while len(list(files.iterdir())) > before[1]:
            assert time.monotonic() < deadline, "connections that ended still hold descriptors"
            time.sleep(0.05)


def resident(running: Running) -> float:
    return int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]) * 4096.0
