"""Recordings heard by a real Ray cluster of two nodes, one of which is killed: the rows of one process, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import ray_nodes
import soundfile
from program import refused, run, started, surroundings

from stream import gaps
from stream.gaps import Loss
from stream.patient import Patient
from stream.simulate import render

ray_nodes.needed("ray", "pyarrow", "fsspec", "s3fs", "moto", "flask")

RATE_HZ, SECONDS, RECORDINGS = 2000, 60, 40
BAD = {"bad-0.wav": b"no sound", "bad-1.flac": b"", "zz-bad.wav": b"RIFF\xff\xff\x00\x00WAVE"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty simulated hearts, of which some recordings are alike but for where they begin; and files that are none."""
    folder = tmp_path_factory.mktemp("archive")
    cases = ("normal", "murmur", "extrasystole", "artifact")
    sounds = [render(Patient(case, seed=7, rate_hz=RATE_HZ), 2 * SECONDS) for case in cases]
    for index in range(RECORDINGS):
        begin = 700 * index
        heard = sounds[index % len(cases)][begin : begin + SECONDS * RATE_HZ]
        soundfile.write(folder / f"{index:03d}.wav", heard, RATE_HZ, "PCM_16")
    gaps.write(folder / "003.wav", Loss(10 * RATE_HZ, 500, "lost"))
    for name, data in BAD.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def alone(archive: Path) -> list[dict[str, Any]]:
    """The rows of one process."""
    out = archive.parent / "alone.jsonl"
    assert run("classify", archive, "--jobs", 1, "--out", out).returncode == 3
    return rows(out)


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ray_nodes.s3_server(tmp_path_factory.mktemp("s3")) as env:
        yield env


@pytest.fixture(scope="module")
def cluster(store: dict[str, str]) -> Iterator[ray_nodes.Cluster]:
    made = ray_nodes.Cluster(store)
    yield made
    made.close()


def test_a_cluster_without_cpu_is_refused(cluster: ray_nodes.Cluster, archive: Path) -> None:
    done = run("classify", archive, "--engine", "ray", "--address", cluster.address, **ray_nodes.COMMON)
    refused(done, 1, "the Ray cluster has no CPU", "start a node")


@pytest.fixture(scope="module")
def nodes(cluster: ray_nodes.Cluster) -> ray_nodes.Cluster:
    cluster.grow(2)
    return cluster


def test_rows_are_those_of_one_process_though_a_node_is_killed(
    nodes: ray_nodes.Cluster, archive: Path, alone: list[dict[str, Any]], tmp_path: Path
) -> None:
    out, lost = tmp_path / "out.jsonl", nodes.nodes[1]
    arguments = ("classify", archive, "--engine", "ray", "--address", nodes.address, "--out", out)
    with started(*arguments, env=ray_nodes.COMMON) as process:
        ray_nodes.until(lambda: (out.exists() and out.read_text()) or process.poll() is not None)
        assert lost.works()
        written = len(rows(out))
        lost.kill()
        said, complaints = process.communicate(timeout=90)
    assert 0 < written < len(alone)
    assert rows(out) == alone
    assert (process.returncode, said) == (3, "")
    assert complaints.splitlines()[-1].startswith(f"laennec: {len(BAD)} of {RECORDINGS + len(BAD)} recordings")
    assert "ray" not in complaints.lower()


def test_recordings_are_fetched_from_s3(
    nodes: ray_nodes.Cluster, store: dict[str, str], archive: Path, alone: list[dict[str, Any]], tmp_path: Path
) -> None:
    put = "import fsspec, sys; s3 = fsspec.filesystem('s3'); s3.mkdir('hearts'); s3.put(sys.argv[1:], 'hearts/of/a/')"
    named = [archive / name for name in ("002.wav", "003.wav", "003.wav.gaps.jsonl", "bad-0.wav", "bad-1.flac")]
    subprocess.run([sys.executable, "-c", put, *map(str, named)], env=surroundings(**store), check=True)
    given = ["s3://hearts/of", "s3://hearts/of/a/missing.wav", archive / "001.wav"]
    done = run("classify", *given, "--engine", "ray", "--address", nodes.address, "--out", tmp_path / "x.jsonl",
               **ray_nodes.COMMON, **store)  # fmt: skip
    assert done.returncode == 3, done.stderr
    by_name = {Path(row["path"]).name: row for row in alone}
    far = [by_name[path.name] for path in named if path.suffix != ".jsonl"]
    text = json.dumps(far).replace(f"{archive}/", "s3://hearts/of/a/")
    missing = "s3://hearts/of/a/missing.wav"
    error = dict.fromkeys(alone[0]) | {"path": missing, "error": f"{missing}: no such file; check the name"}
    assert rows(tmp_path / "x.jsonl") == [*json.loads(text), error, by_name["001.wav"]]


def test_another_version_on_a_node_is_refused(nodes: ray_nodes.Cluster, archive: Path, tmp_path: Path) -> None:
    newer = tmp_path / "laennec-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: laennec\nVersion: 99.0\n")
    env = ray_nodes.COMMON | {"PYTHONPATH": os.pathsep.join([str(tmp_path), surroundings()["PYTHONPATH"]])}
    done = run("classify", archive, "--engine", "ray", "--address", nodes.address, **env)
    refused(done, 1, "node ", f"has laennec {version('laennec')}, not 99.0; install the same laennec on every node")


def test_a_head_that_is_lost_ends_the_run_and_leaves_the_rows(
    nodes: ray_nodes.Cluster, archive: Path, alone: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ("classify", archive, "--engine", "ray", "--address", nodes.address, "--out", out)
    with started(*arguments, env=ray_nodes.COMMON) as process:
        ray_nodes.until(lambda: (out.exists() and out.read_text()) or process.poll() is not None)
        nodes.head.kill()
        _, complaints = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "the Ray cluster was lost" in complaints
    assert rows(out) == alone[: len(rows(out))]
