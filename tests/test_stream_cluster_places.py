"""Where recordings lie: URLs walked and fetched; and what is refused in one line before a cluster is asked for."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import ray_nodes
import soundfile
from program import refused, run, surroundings

from models import bundle as bundles
from models.errors import InputFileError, LaennecError, ModelError, SettingError
from stream import classify, engines, gaps
from stream.cluster import engine, fetch, hearing, nodes, places
from stream.engines import Engine
from stream.gaps import Loss
from stream.patient import Patient
from stream.simulate import render

ray_nodes.needed("ray", "pyarrow", "fsspec", "aiohttp")

BLOCKED = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Finder())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names!r} else real(name, package)
sys.argv[0] = "laennec"
import laennec
laennec.main()
"""


@pytest.fixture
def memory() -> Iterator[Any]:
    """A store in this process."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("s3://a/b", "s3"),
        ("HTTPS://a", "https"),
        ("file:///a", "file"),
        ("/a://b", None),
        ("c:/x", None),
        ("a.wav", None),
    ],
)
def test_urls_are_told_from_paths(place: str, name: str | None) -> None:
    assert places.protocol(place) == name


def test_prefixes_are_walked_as_folders_are(memory: Any, tmp_path: Path) -> None:
    names = ("in/b.wav", "in/a.flac", "in/a/c.OGG", "in/.hidden.wav", "in/.git/d.wav", "in/notes.txt", "z.wav")
    for name in names:
        memory.pipe(f"/{name}", b"x")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    near = [str(path) for path in classify.expand([tmp_path / "in"])]
    far = places.expand(["memory://z.wav", "memory://in", "memory://gone"])
    assert far == ["memory://z.wav", *(n.replace(str(tmp_path), "memory://") for n in near), "memory://gone"]
    assert places.expand([str(tmp_path / "in"), "memory://z.wav", "no.wav"]) == [*near, "memory://z.wav", "no.wav"]


@pytest.mark.parametrize("given", ["missing.wav", "missing"])
def test_nothing_at_all_is_refused(given: str) -> None:
    with pytest.raises(InputFileError, match=f"{given}: no such file"):
        places.expand([given])


@pytest.fixture(scope="module")
def sound() -> Any:
    return render(Patient("normal", rate_hz=2000), 12)


@pytest.fixture
def task() -> hearing.Task:
    return hearing.task(bundles.load(), None)


def test_what_is_fetched_is_heard_like_a_local_file(
    memory: Any, task: hearing.Task, sound: Any, tmp_path: Path
) -> None:
    for index in range(20):
        soundfile.write(tmp_path / f"{index}.wav", sound[300 * index :], 2000, "PCM_16")
    gaps.write(tmp_path / "3.wav", Loss(9000, 700, "lost"))
    (tmp_path / "bad.wav").write_bytes(b"no")
    memory.put(str(tmp_path), "/of", recursive=True)
    near = [str(path) for path in classify.expand([tmp_path])]
    far = [f"memory://of/{Path(path).name}" for path in near]
    model = bundles.load()
    wanted = classify.several([Path(path) for path in near], model)
    missing = "memory://of/missing.wav"
    rows = hearing.hear(task, [*far, missing])
    assert rows.pop() == dict.fromkeys(rows[0]) | {"path": missing, "error": f"{missing}: no such file; check the name"}
    assert [{**row, "path": "", "error": ""} for row in rows] == [{**row, "path": "", "error": ""} for row in wanted]
    assert [row["path"] for row in rows] == far
    errors = [(row["error"] or "").replace(str(tmp_path), "memory://of") for row in wanted]
    assert [row["error"] or "" for row in rows] == errors


def test_no_more_is_kept_than_is_heard_and_waits(memory: Any, sound: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", sound, 2000, "PCM_16")
    memory.put(str(tmp_path / "x.wav"), "/x.wav")
    (tmp_path / "kept").mkdir()
    fetched = fetch.Fetched(["memory://x.wav"] * 100, tmp_path / "kept")
    most = 0
    for index, _ in enumerate(classify.heard(fetched, bundles.load())):
        most = max(most, len(list((tmp_path / "kept").iterdir())))
        fetched.drop(index)
    together = classify._TOGETHER
    assert 1 < most <= together + together + fetch._AHEAD  # being heard, done but for rows before them, fetched ahead
    assert not list((tmp_path / "kept").iterdir())


def test_what_is_too_long_is_not_fetched(memory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory.pipe("/x.wav", bytes(3 * 2**20))
    monkeypatch.setattr(fetch, "MOST_BYTES", 2**21)
    fetched = fetch.Fetched(["memory://x.wav"], tmp_path)
    assert not any(path.exists() for path in fetched)
    assert "memory://x.wav: is longer than" in str(fetched.errors["memory://x.wav"])


@pytest.mark.parametrize(("failures", "heard"), [(2, True), (3, False)])
def test_what_passes_is_tried_again(
    memory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failures: int, heard: bool
) -> None:
    memory.pipe("/x.wav", b"x")
    left, real = [True] * failures, type(memory).open

    def flaky(*arguments: Any, **named: Any) -> Any:
        if left and left.pop():
            raise TimeoutError("the line is busy")
        return real(*arguments, **named)

    monkeypatch.setattr(type(memory), "open", flaky)
    monkeypatch.setattr(fetch, "_WAIT_S", 0.0)
    fetched = fetch.Fetched(["memory://x.wav"], tmp_path)
    assert [path.exists() for path in fetched] == [heard]
    told = [str(error) for error in fetched.errors.values()]
    assert told == [] if heard else ["memory://x.wav: can't be fetched: the line is busy; try it again"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, r"can't be fetched: Cannot connect to host 127.0.0.1:\d+ .*; try it again"),
        (404, "no such file; check the name"),
        (503, "can't be fetched: 503, .*; try it again"),
    ],
)
def test_a_url_that_can_not_be_had_tells_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: int | None, said: str
) -> None:
    monkeypatch.setattr(fetch, "_WAIT_S", 0.0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(answer or 500)

        do_HEAD = do_GET  # noqa: N815 - the server's names

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        if answer is None:
            server.shutdown()
            server.server_close()
        url = f"http://127.0.0.1:{server.server_port}/a.wav"
        fetched = fetch.Fetched([url], tmp_path)
        assert not any(path.exists() for path in fetched)
        server.shutdown()
        thread.join()
    assert re.fullmatch(f"{url}: {said}", str(fetched.errors[url])), fetched.errors


# Refusals


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(SettingError, match="zz://: unknown; give a path"):
        places.expand(["zz://a/b.wav"])


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        (("ray",), "x.wav", r"--engine ray needs ray; run in the checkout: pip install -e '.[cluster]'"),
        (("ray", "fsspec"), "s3://a/b.wav", "--engine ray needs ray and fsspec"),
        (("s3fs",), "s3://a/b.wav", "s3:// needs one more package, here and on every node: Install s3fs"),
    ],
)
def test_a_missing_package_is_named(names: tuple[str, ...], given: str, said: str) -> None:
    command = [sys.executable, "-c", BLOCKED.format(names=names), "classify", given, "--engine", "ray"]
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)
    refused(done, 2, said)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("127.0.0.1:1", 1, "no Ray cluster answers there (Connection refused); give the HOST:PORT"),
        ("no.such.host.invalid:6379", 1, "no Ray cluster answers there"),
        ("ray://127.0.0.1:10001", 2, "is Ray's client or job address; run `ray job submit"),
        ("nonsense", 2, "is no address; give HOST:PORT"),
    ],
)
def test_a_wrong_address_is_refused(address: str, code: int, said: str, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    soundfile.write(tmp_path / "x.wav", [0.0] * 9000, 2000)
    run("classify", tmp_path / "x.wav", "--out", out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = run("classify", tmp_path / "x.wav", "--engine", "ray", "--address", address, "--out", out)
    line = refused(done, code, f"--address {address}", said)
    assert "Traceback" not in line
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_url_or_an_address_is_nothing_for_the_local_engine(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"s3://a/b\.wav: URLs are fetched by --engine ray alone"):
        engines.expand(Engine.LOCAL, None, ["s3://a/b.wav"])
    with pytest.raises(SettingError, match="give --engine ray too"):
        engines.expand(Engine.LOCAL, "127.0.0.1:1", ["x.wav"])


def test_no_recordings_start_no_cluster() -> None:
    assert list(engine.rows([], bundles.load(), None, None, None)) == []


def test_a_node_looks_at_itself() -> None:
    version, missing = nodes._look()(["memory", "zz"])
    assert version == hearing.version("laennec")
    assert missing == ["zz:// (Protocol not known: zz)"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ((None, []), "node n: has no laennec; install"),
        (("1.0", []), "node n: has laennec 1.0, not 2.0; install"),
        (("2.0", ["s3:// (Install s3fs)"]), r"node n: can't fetch s3:// \(Install s3fs\)"),
    ],
)
def test_a_node_that_lacks_something_is_named(seen: tuple[str | None, list[str]], said: str) -> None:
    with pytest.raises(LaennecError, match=said):
        nodes.judge("n", seen, "2.0")
    nodes.judge("n", ("2.0", []), "2.0")


def test_a_model_that_arrives_damaged_or_another_version_is_told(task: hearing.Task) -> None:
    hearing._loaded.cache_clear()
    with pytest.raises(ModelError, match="arrived damaged at a node"):
        hearing.answered(hearing.answer(replace(task, sha256="0" * 64), ["x.wav"]))
    with pytest.raises(LaennecError, match=r"a node has laennec .*, not 99; install"):
        hearing.answered(hearing.answer(replace(task, laennec="99"), ["x.wav"]))


def test_a_model_that_was_altered_meanwhile_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(bundles.SHIPPED.read_bytes())
    model = bundles.load(path)
    path.write_bytes(b"x")
    with pytest.raises(ModelError, match="was altered just now"):
        hearing.task(model, None)


def test_a_model_that_a_node_refuses_is_named_as_the_user_knows_it(task: hearing.Task) -> None:
    hearing._loaded.cache_clear()
    with pytest.raises(ModelError) as told:
        hearing._loaded(replace(task, model=b"x"))
    assert str(told.value).startswith(f"{bundles.SHIPPED.name}: ")
    assert hearing._loaded(task).path == Path(bundles.SHIPPED.name)


# How the driver is waited for, and kept


@pytest.mark.parametrize("quiet", ["from the start", "in between", "never"])
def test_a_cluster_that_gives_no_row_is_waited_for_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet: str
) -> None:
    ours, theirs = Pipe()
    pauses = {"from the start": (0.5, 0.5), "in between": (0.0, 0.5), "never": (0.0, 0.0)}[quiet]

    def answer() -> None:
        theirs.send(None)
        theirs.send(None)
        for index, pause_s in enumerate(pauses):
            time.sleep(pause_s)
            theirs.send([{"path": str(index)}])
        theirs.send(None)

    @contextlib.contextmanager
    def driver(_: Any) -> Iterator[Any]:
        thread = threading.Thread(target=answer)
        thread.start()
        yield ours
        thread.join()

    monkeypatch.setattr(engine, "_driver", driver)
    monkeypatch.setattr(engine, "_QUIET_S", 0.2)
    assert [row["path"] for row in engine.rows(["x.wav"], bundles.load(), None, None, None)] == ["0", "1"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (quiet != "never")
    assert all("no row from the Ray cluster for 0.2 s" in line and "`ray status`" in line for line in said)


#: Drives until its tidier would have ended it, were that not kept.
DRIVEN = """
import gc, subprocess, sys, time
from multiprocessing import Pipe
from pathlib import Path
from models.errors import LaennecError
from stream.cluster import driver

def join(order):
    subprocess._active.clear()  # where Popen itself keeps what was dropped; nothing promises that
    gc.collect()
    time.sleep(1.5)
    raise LaennecError("lived")

driver._join = join
ours, theirs = Pipe()
folder = Path(sys.argv[1])
driver.drive(theirs, driver.Order((), None, None, None, folder))
Path(f"{folder}.said").write_text(str(ours.recv()))
"""


def test_what_tidies_up_after_the_driver_lets_it_live_and_then_does(tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", DRIVEN, str(folder)], env=surroundings(), timeout=60, check=False)
    assert Path(f"{folder}.said").read_text() == "lived"
    ray_nodes.until(lambda: not folder.exists(), 20)
