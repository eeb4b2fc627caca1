"""A web server for the page's tests, and what they measure in the browser."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lifeboat.detector.page.page import CONTENT_SECURITY_POLICY, render_page
from tests.detector import page_state as made

# Lowest contrast of a text with what it stands on: WCAG 2.2, 1.4.3 asks for 4.5.
CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [[0.2126, r], [0.7152, g], [0.0722, b]].reduce((sum, [weight, part]) =>
    sum + weight * (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4), 0);
  const ground = (one) => {
    const colour = parse(getComputedStyle(one).backgroundColor);
    return colour.length === 4 && colour[3] === 0 ? ground(one.parentElement) : colour;
  };
  const shown = (one) => one.nodeName !== "title" && (one.offsetParent !== null || one.ownerSVGElement);
  const speaks = (one) => [...one.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
  const contrast = (one) => {
    const style = getComputedStyle(one);
    const ink = parse(one.ownerSVGElement ? style.fill : style.color);
    const pair = [ink, ground(one)].map(light).sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  return Math.min(...[...document.querySelectorAll("body *")].filter(shown).filter(speaks).map(contrast));
}"""


class Detector:
    """A web server with the page at / and a state that a test changes at /drift."""

    def __init__(self) -> None:
        self.state: Any = made.state(made.model())
        self.status = 200
        self.asked = 0
        self.port = 0
        self.home = ""

    def __enter__(self) -> Detector:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/":
            return 200, "text/html; charset=utf-8", render_page(self.home)
        assert path == "/drift"
        self.asked += 1
        return self.status, "application/json", json.dumps(self.state).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        detector = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = detector.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        return Handler
