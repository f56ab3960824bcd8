"""Prometheus text over HTTP while a session runs. Only imported where it is asked for: needs the extra `metrics`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from models.errors import SettingError
from stream.sinks.metrics import MetricsSink

_POLL_S = 0.1
_CLOSE_LIMIT_S = 2.0


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds: one who connects and says nothing must not hold a thread for days

    def log_message(self, *_: Any) -> None:
        """The terminal is the session's."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Answers on threads that no exit waits for.

    prometheus-client's own server lets silent clients hold their threads, and writes broken connections to the
    terminal.

    Raises:
        OSError: no such host, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        super().__init__((host, port), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A client that breaks off is its own affair."""


@contextlib.contextmanager
def served(sink: MetricsSink, host: str, port: int) -> Iterator[MetricsServer]:
    """Serve a sink's metrics, and the process's own (memory, CPU; Linux alone has them), at every path.

    Args:
        sink: what is asked.
        host: the only address that is listened at.
        port: 0 is any that is free.

    Raises:
        SettingError: the address can't be had.
    """
    registry = CollectorRegistry()
    registry.register(sink)
    ProcessCollector(registry=registry)
    try:
        server = MetricsServer(host, port)
    except OSError as error:
        raise SettingError(
            f"--metrics {port}: can't be served at {host}: {error.strerror}; give another port or --metrics-host"
        ) from error
    server.set_app(make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True).start()
    try:
        yield server
    finally:
        _close(server)


def _close(server: MetricsServer) -> None:
    """Within a time limit, whatever a client does."""
    closer = threading.Thread(target=server.shutdown, name="close metrics", daemon=True)
    closer.start()
    closer.join(_CLOSE_LIMIT_S)
    server.server_close()
