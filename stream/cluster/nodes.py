"""The cluster as the driver finds it: reached in bounded time, with CPUs, and with Laennec on every node."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import LaennecError, printable
from stream.cluster import places

_REACH_S = 10.0
#: A node starts a process for it, which loads Ray.
_LOOK_S = 60.0
INSTALL = "install the same laennec on every node (docs/scale.md says how)"


def reach(address: str) -> None:
    """Refuse an address where nobody listens; `auto` is Ray's to find.

    Raises:
        LaennecError: nobody answers.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except OSError as error:
        raise absent(address, error) from error


def absent(address: str, error: OSError) -> LaennecError:
    """Nobody answers there."""
    reason = error.strerror or printable(str(error).partition(".")[0])
    return LaennecError(
        f"--address {address}: no Ray cluster answers there ({reason}); give the HOST:PORT that `ray start --head` "
        "printed"
    )


def cpus() -> int:
    """Of the whole cluster.

    Raises:
        LaennecError: it has none.
    """
    import ray

    found = int(ray.cluster_resources().get("CPU", 0))
    if not found:
        raise LaennecError("the Ray cluster has no CPU to work with; start a node with --num-cpus 1 or more")
    return found


def check(laennec: str, recordings: Sequence[str]) -> None:
    """Look whether each node has what it takes.

    Raises:
        LaennecError: there is no CPU, no node answers, or Laennec or a protocol's package is missing on one, or of
            another version.
    """
    cpus()
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    found = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    look = ray.remote(num_cpus=0, max_retries=0)(_look())
    asked = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            places.protocols(recordings)
        ): node["NodeManagerHostname"]
        for node in found
    }
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_S)
    failures = []
    for answer in done:
        try:
            judge(asked[answer], ray.get(answer), laennec)
        except ray.exceptions.RayError as error:  # a node that is lost now may come back; the work waits for none
            failures.append(error)
    if len(failures) == len(done):
        raise LaennecError(f"no node of the Ray cluster works: {_first(failures)}; look at it with `ray status`")


def _first(failures: Sequence[Exception]) -> str:
    return printable(str(failures[0]).partition("\n")[0]) if failures else f"none answered within {_LOOK_S:g} s"


def judge(node: str, seen: tuple[str | None, list[str]], laennec: str) -> None:
    """Refuse a node by what it said of itself.

    Raises:
        LaennecError: see `check`.
    """
    version, missing = seen
    if version is None:
        raise LaennecError(f"node {node}: has no laennec; {INSTALL}")
    if version != laennec:
        raise LaennecError(f"node {node}: has laennec {version}, not {laennec}; {INSTALL}")
    if missing:
        raise LaennecError(f"node {node}: can't fetch {', '.join(missing)}; install what that takes on every node")


def _look() -> Any:
    """A function that travels whole, since a node may have no Laennec to find it in."""

    def look(protocols: list[str]) -> tuple[str | None, list[str]]:
        from importlib import metadata, util

        try:
            version = metadata.version("laennec") if util.find_spec("stream") else None
        except metadata.PackageNotFoundError:
            version = None
        missing = []
        for protocol in protocols:
            try:
                import fsspec

                fsspec.get_filesystem_class(protocol)
            except (ImportError, ValueError) as error:
                missing.append(f"{protocol}:// ({error})")
        return version, missing

    return look


def in_words(error: Exception, log: Path) -> LaennecError:
    """Why Ray gave up, in one line; the rest is in its log."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    absent = next((line for line in lines if "No module named" in line), None)
    if absent:
        return LaennecError(f"a node lacks a package ({printable(absent)}); {INSTALL}")
    if "references to the actor were removed" in str(error):  # the cluster's head may not speak to the driver
        return LaennecError(
            "the Ray cluster and this machine differ in their authentication: set RAY_AUTH_MODE, or RAY_AUTH_TOKEN, as "
            "its nodes have it"
        )
    return LaennecError(f"Ray gave up: {printable(lines[0] if lines else repr(error))}; all that it said is in {log}")
