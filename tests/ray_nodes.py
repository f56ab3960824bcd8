"""A real Ray cluster on this machine, each node a process group of its own that can be killed as a machine is."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from program import surroundings

#: A lost node is to be noticed within a second or two, not in half a minute.
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "300",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_worker_niceness": "0",
}
#: What the program and the nodes have to agree on; and Ray tells nobody of these tests.
COMMON = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
STORE_BYTES = 80 * 2**20


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def of_session(session: int) -> dict[int, str]:
    """The command lines of the processes of a session, by their numbers; those that have ended are left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            state, _, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found[pid] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


class Node:
    """`ray start --block` and what it started."""

    def __init__(self, folder: Path, env: Mapping[str, str], *arguments: object) -> None:
        limits = ["--object-store-memory", str(STORE_BYTES), "--min-worker-port", "0", "--max-worker-port", "0"]
        command = [Path(sys.executable).with_name("ray"), "start", "--block", *arguments, *limits]
        self.said = folder / f"node-{time.monotonic_ns()}.log"
        with self.said.open("w") as said:
            self._process = subprocess.Popen(
                [*map(str, command)],
                env=surroundings(**COMMON, **QUICK, **env),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it belongs to the cluster."""
        until(lambda: "Ray runtime started" in self.said.read_text() or self._process.poll() is not None)
        assert self._process.poll() is None, self.said.read_text()

    def works(self) -> bool:
        """Whether an actor that hears is busy on it."""
        return any("MapWorker" in line for line in of_session(self._process.pid).values())

    def kill(self) -> None:
        """As where its machine loses power: nothing of it is asked to end."""
        for pid in of_session(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        until(lambda: not of_session(self._process.pid))


class Cluster:
    """A head without CPU, and nodes with one each."""

    def __init__(self, env: Mapping[str, str]) -> None:
        # Not pytest's own folder: names of sockets have to be short.
        self._folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/laennec-nodes-XXXXXX"], text=True).strip())
        self._env = env
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        temp = ["--temp-dir", self._folder, "--include-dashboard", "false"]
        self.head = Node(self._folder, env, "--head", "--port", self.port, "--num-cpus", 0, *temp)
        self.head.wait()
        self.nodes: list[Node] = []

    def grow(self, count: int) -> None:
        """More nodes, one by one: of two that start at once on one machine, one takes the other's ports."""
        for _ in range(count):
            self.nodes.append(Node(self._folder, self._env, "--address", self.address, "--num-cpus", 1))
            self.nodes[-1].wait()

    def close(self) -> None:
        for node in [*self.nodes, self.head]:
            node.kill()
        subprocess.run(["rm", "-rf", str(self._folder)], check=True)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """A store that speaks S3; the variables by which s3fs finds it."""
    port = free_port()
    moto = Path(sys.executable).with_name("moto_server")
    with (folder / "moto.log").open("w") as said:
        process = subprocess.Popen([str(moto), "-H", "127.0.0.1", "-p", str(port)], stdout=said, stderr=said)
    try:
        until(lambda: answers(port))
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()


def needed(*modules: str) -> None:
    """Skip, or fail in CI, where a package of the extra is not installed."""
    import importlib.util

    from conftest import skip_or_fail

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        skip_or_fail(f"no {', '.join(missing)}; run: pip install -c constraints.txt -e '.[cluster,test]'")
    if not sys.platform.startswith("linux"):
        pytest.skip("nodes are killed by what Linux says of processes in /proc")
