"""Figures of a run for Prometheus, served over HTTP to programs of the same machine only."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from urllib.parse import urlsplit

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.prometheus_file import PrometheusText

LOOPBACK = "127.0.0.1"
PATH = "/metrics"  # what Prometheus asks for unless told otherwise

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PATIENCE_S = 5.0  # one reader at a time: a silent one must not keep the others out


def loopback_port(url: str) -> int | None:
    """Return the port of `http://127.0.0.1:PORT`, with or without `/metrics`; None for all else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not port or url.removesuffix("/").removesuffix(PATH) != f"http://{LOOPBACK}:{port}":
        return None
    return port


class PrometheusPage:
    """Serves the text of `PrometheusText`, from the first round's end until the run is over.

    Guarantee: it listens on 127.0.0.1 only, answers only who asks for that host, so that no page
    in a browser reads it under another name, and waits for no reader.

    Args:
        port: Where it listens.
        name: The labels of every sample.

    Raises:
        OSError: The port is taken, or may not be had.
    """

    def __init__(self, port: int, name: RunName) -> None:
        self._text = PrometheusText(name)
        self._server = _Server((LOOPBACK, port), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def note_round(self, told: RoundFigures) -> None:
        """Replace what is served."""
        self._server.text = self._text.after_round(told).encode()

    def close(self, *, finished: bool) -> None:
        """Stop listening: Prometheus then marks the run as gone."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(TCPServer):
    allow_reuse_address = True  # the next run begins while closed connections linger
    text = b""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a reader that went away is no news of the run."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path != PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send_figures(self.server.text)

    def _send_figures(self, text: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Log no request."""
