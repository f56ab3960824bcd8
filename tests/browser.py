"""A page in a real browser without a window: what its console says, what it asks the network for, how it looks."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from conftest import skip_or_fail

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Without these the browser would talk to its maker, in whose requests those of the page would drown.
QUIET = (
    "--headless",
    "--disable-gpu",
    "--no-sandbox",
    "--disable-dev-shm-usage",  # a container's is small
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--metrics-recording-only",
    "--hide-scrollbars",
)
#: What the browser asks its maker for all the same; no page of ours may be among these.
OWN = re.compile(
    r"^\w+ (https?://)?([\w-]+\.google\.com|(?!fonts\.|ajax\.)[\w-]+\.(googleapis|gstatic)\.com|[\w.-]+\.gvt1\.com)[:/]"
)


class Opened(NamedTuple):
    """What became of a page."""

    dom: str
    console: list[str]
    requests: list[str]  # first lines of what the page asked the network for


def browser() -> str:
    """The browser's command; without one the test is skipped, and fails in CI."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        skip_or_fail("no chromium on this machine; apt install chromium")
    return str(found)


@contextlib.contextmanager
def listening(heard: list[str]) -> Iterator[int]:
    """A proxy that lets nothing through and writes down what it was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    heard.append(connection.recv(4096).decode("latin-1").partition("\r\n")[0])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _run(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [browser(), *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def opened(page: Path, folder: Path) -> Opened:
    """Load a page; everything it might fetch goes to a proxy that fetches nothing."""
    requests: list[str] = []
    with listening(requests) as port:
        proxy = (f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>")
        done = _run(page, folder, *proxy, "--enable-logging=stderr", "--dump-dom")
    return Opened(done.stdout, re.findall(r"CONSOLE[:(].*", done.stderr), [r for r in requests if not OWN.match(r)])


def pictured(page: Path, folder: Path, *options: str, width: int = 1250, height: int = 1600) -> bytes:
    """A picture of a page, PNG."""
    out = folder / "page.png"
    _run(page, folder, *options, f"--window-size={width},{height}", f"--screenshot={out}")
    return out.read_bytes()


def printed(page: Path, folder: Path) -> bytes:
    """A page on paper, PDF."""
    out = folder / "page.pdf"
    _run(page, folder, "--no-pdf-header-footer", f"--print-to-pdf={out}")
    return out.read_bytes()
