"""One row per recording; the golden vectors that prove a bundle on this machine; and what the doctor says."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_bundle
import torch
from program import LAENNEC, refused, surroundings

from export import golden as export_golden
from models import bundle as bundles
from models import decide, windows
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import DecideSpec, Decision
from models.errors import DeviceError, InputFileError, LaennecError, ModelError
from models.join import MEASURED_MOMENTS, NEVER, Joined
from models.join import probabilities as joined_probabilities
from stream import classify, doctor, golden, together, workers
from stream.patient import Patient
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from stream.sources.simulated import SimulatedSource
from train import nested
from train.datasets import Recording
from train.filterbank import front_end
from train.table import Table, read

PROBABILITIES = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def recording(path: Path, seconds: float = 5, rate_hz: int = 4000, case: str = "normal", seed: int = 0) -> Path:
    source = SimulatedSource(Patient(case, seed=seed, rate_hz=rate_hz), seconds, rate_hz * 100, speed=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, next(iter(source.blocks())).samples, rate_hz, "PCM_16")
    return path


def probabilities(row: classify.Row) -> list[float]:
    return [row[name] for name in PROBABILITIES]


def test_a_row_holds_the_columns_of_the_contract(bundle: Bundle, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", 12)
    row = classify.classify(path, bundle)
    assert ",".join(row) == ",".join(classify.COLUMNS)
    assert ",".join(classify.COLUMNS) == (
        "path,label,p_normal,p_murmur,p_extra_heart_sound,p_extrasystole,p_artifact,"
        "status,quality,heart_rate_bpm,duration_s,error"
    )
    assert (row["path"], row["status"], row["duration_s"], row["error"]) == (str(path), "ok", 12.0, None)
    assert sum(probabilities(row)) == pytest.approx(1, abs=1e-5)
    assert row["label"] == CLASSES[int(np.argmax(probabilities(row)))]
    assert 0 < row["quality"] <= 1


@pytest.mark.parametrize(("case", "rate"), [("normal", 72), ("murmur", 72), ("artifact", None)])
def test_the_heart_rate_is_that_of_the_decisions_that_know_it(tmp_path: Path, case: str, rate: float | None) -> None:
    model, path = bundles.load(), recording(tmp_path / "a.wav", 12, case=case)  # an untrained one hears no beats
    row = classify.classify(path, model)
    assert row["heart_rate_bpm"] == (rate and pytest.approx(rate, abs=2))
    pipeline, source = Pipeline(model, 4000), FileSource(path)
    heard = [e for block in source.blocks() for e in pipeline.process(block)] + pipeline.flush()
    known = [e.heart_rate_bpm for e in heard if isinstance(e, Decision) and e.heart_rate_bpm is not None]
    assert row["heart_rate_bpm"] == (round(float(np.median(known)), 1) if known else None)


@pytest.mark.parametrize(
    ("logits", "quality", "status", "rate"),
    [(0, 0.9, "ok", 71.0), (1, 0.9, "ok", 71.0), (4, 0.9, "ok", None), (0, 0.01, "poor_signal", None)],
)
def test_no_heart_rate_stands_beside_no_heart_sound(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logits: int, quality: float, status: str, rate: Any
) -> None:
    answer = tuple(9.0 * np.eye(5)[logits])
    told = Decision(4.0, 4.0, None, "ok", None, quality, "", 71.0, answer)
    monkeypatch.setattr(together, "flush", lambda pipelines: [[told] for _ in pipelines])
    row = classify.classify(recording(tmp_path / "a.wav", 0.1), bundle)
    assert (row["status"], row["heart_rate_bpm"]) == (status, rate)
    assert row["p_normal"] is not None


@pytest.mark.parametrize("seconds", [1.0, 2.5, 3.99, 4.0, 6.0, 7.3])
def test_the_answer_is_the_mean_of_the_streams_own_windows(bundle: Bundle, tmp_path: Path, seconds: float) -> None:
    source = FileSource(recording(tmp_path / "a.wav", seconds, case="murmur"))
    pipeline = Pipeline(bundle, source.rate_hz)
    events = [e for block in source.blocks() for e in pipeline.process(block)] + pipeline.flush()
    heard = [d for d in events if isinstance(d, Decision)]
    spec = bundle.front_end.spec
    ends_s = [
        spec.span_samples(n) / spec.rate_hz
        for n in windows.recording_ends(bundle.window, spec.frames_in(round(seconds * spec.rate_hz)))
    ]
    by_time = {d.t_s: d for d in heard}
    wanted = decide.whole([by_time[t] for t in ends_s])
    row = classify.classify(tmp_path / "a.wav", bundle)
    np.testing.assert_allclose(probabilities(row), wanted, atol=1e-6)
    assert row["quality"] == pytest.approx(np.median([by_time[t].quality for t in ends_s]), abs=1e-4)
    assert row["status"] == "ok"


def decided(t_s: float, status: str, early: float = NEVER) -> Decision:
    """Of a heart that sounds normal."""
    return Decision(t_s, 4.0, None, status, None, 0.9, "", 71.0, tuple(4.0 * np.eye(5)[0]), early)


def row_of(decisions: list[Decision], bundle: Bundle, monkeypatch: pytest.MonkeyPatch, folder: Path) -> classify.Row:
    monkeypatch.setattr(together, "flush", lambda pipelines: [decisions for _ in pipelines])
    return classify.classify(recording(folder / "a.wav", 0.1), bundle)


@pytest.mark.parametrize("at", range(6))
def test_early_beats_at_any_of_the_windows_that_speak_tell_of_the_recording(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int
) -> None:
    """As many as at all of them; not at a window that is not full yet, nor in a gap."""
    statuses = ("listening", "ok", "gap", "uncertain", "poor_signal", "ok")
    heard = [decided(k, status, 2.0 if k == at else NEVER) for k, status in enumerate(statuses)]
    row = row_of(heard, bundle, monkeypatch, tmp_path)
    speaks = statuses[at] not in {"listening", "gap"}
    wanted = decide.whole([decided(9.0, "ok", 2.0 if speaks else NEVER)])
    np.testing.assert_allclose(probabilities(row), wanted, atol=1e-6)
    assert row["label"] == ("extrasystole" if speaks else "normal")


def test_a_stream_s_early_beats_reach_the_row(tmp_path: Path) -> None:
    """Forgotten by its end, they were heard in between."""
    onsets_s = np.arange(0.2, 20, 0.8)
    skipping = onsets_s - 0.32 * np.isin(np.arange(len(onsets_s)), [5, 9])
    (tmp_path / "hearing.onnx").write_bytes(tiny_bundle.data_of(tiny_bundle.hearing()))
    model, rows = bundles.load(tmp_path / "hearing.onnx"), {}
    for name, beats_s in (("even", onsets_s), ("skipping", skipping)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, tiny_bundle.thumps(20, beats_s, seed=1), 2000, "FLOAT")
        rows[name] = classify.classify(path, model)
        pipeline, source = Pipeline(model, 2000), FileSource(path)
        events = [e for block in source.blocks() for e in pipeline.process(block)] + pipeline.flush()
        heard = [e for e in events if isinstance(e, Decision)]
        early = {d.early for d in heard if d.status not in {"listening", "gap"}}
        assert early == ({NEVER} if name == "even" else {NEVER, tiny_bundle.JOIN.early})
        assert heard[-1].early == NEVER
        speaking = [d for d in heard if d.status != "listening"]
        logits = np.mean([d.logits for d in speaking], axis=0)
        over = max(early) - np.log(len(speaking) / MEASURED_MOMENTS)  # longer than what the odds were measured on
        wanted = joined_probabilities(Joined(logits, np.array(over)).told)
        np.testing.assert_allclose(probabilities(rows[name]), wanted, atol=1e-6)
    told = [rows[name]["p_extrasystole"] for name in ("even", "skipping")]
    assert told[1] > 0.5 > told[0]


def test_training_hears_a_recording_alike(bundle: Bundle, tmp_path: Path) -> None:
    trained = tiny_bundle.untrained()
    lengths = (0.3, 1.0, 2.0, 3.7, 4.0, 5.0, 9.1)
    rates = (2000, 4000, 44_100, 8000, 11_025, 4000, 44_100)
    heard = enumerate(zip(lengths, rates, strict=True))
    paths = [recording(tmp_path / f"{n}.wav", seconds, rate_hz, seed=n) for n, (seconds, rate_hz) in heard]
    kept = [Recording(p, p.name, "normal", "folder", p.name, (True,) * len(CLASSES)) for p in paths]
    table = Table.of(read(front_end(trained.config.front_end), kept))
    learned, sources = tiny_bundle.offline(trained, table)
    wanted = joined_probabilities(nested.answer(trained.config, learned, sources, np.arange(len(paths)))[0])
    found = [probabilities(row) for row in classify.rows(paths, bundle, None, 1)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(wanted, axis=0).max() > 1e-3  # the recordings do differ


@pytest.mark.parametrize("seconds", [0.05, 0.5, 0.9, 1.0])
def test_short_recordings(bundle: Bundle, tmp_path: Path, seconds: float) -> None:
    status = "ok" if seconds >= 1 else "listening"
    row = classify.classify(recording(tmp_path / "a.wav", seconds), bundle)
    assert row["status"] == status
    assert ("takes 0.2 s of sound" in (row["error"] or "")) == (seconds < 0.19)
    assert (row["label"] is not None) == (status == "ok")
    assert (row["p_normal"] is None) == (seconds < 0.19)


def test_silence_gets_probabilities_but_no_label(bundle: Bundle, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(24_000), 4000)
    row = classify.classify(tmp_path / "a.wav", bundle)
    assert (row["status"], row["label"], row["heart_rate_bpm"]) == ("poor_signal", None, None)
    assert sum(probabilities(row)) == pytest.approx(1, abs=1e-5)


def test_a_doubtful_recording_is_uncertain(tmp_path: Path) -> None:
    data = tiny_bundle.data_of(tiny_bundle.untrained(decide=DecideSpec(threshold=1.0)))
    (tmp_path / "strict.onnx").write_bytes(data)
    row = classify.classify(recording(tmp_path / "a.wav"), bundles.load(tmp_path / "strict.onnx"))
    assert (row["status"], row["label"]) == ("uncertain", None)
    assert sum(probabilities(row)) == pytest.approx(1, abs=1e-5)


def test_a_bad_file_among_good_ones_gets_its_row_whatever_the_number_of_jobs(bundle: Bundle, tmp_path: Path) -> None:
    paths = [recording(tmp_path / f"{n}.wav", 2 + n, seed=n) for n in range(3)]
    (tmp_path / "1b.wav").write_text("no sound")
    paths[1:1] = [tmp_path / "1b.wav", tmp_path / "missing.flac"]
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.zeros((9000, 2)), 4000)
    alone = list(classify.rows([*paths, stereo], bundle, None, 1))
    assert [row["path"] for row in alone] == [str(p) for p in [*paths, stereo]]
    assert [row["error"] is None for row in alone] == [True, False, False, True, True, False]
    for row in (alone[1], alone[2], alone[5]):
        assert row["error"].startswith(row["path"])
        assert {k for k, v in row.items() if v is not None} == {"path", "error"}
    assert list(classify.rows([*paths, stereo], bundle, None, 2)) == alone


@pytest.mark.skipif(os.name == "nt", reason="names of files are text on Windows")
def test_a_name_that_is_no_text_is_heard(bundle: Bundle, tmp_path: Path) -> None:
    usual, odd = recording(tmp_path / "a.wav", 3), tmp_path / os.fsdecode(b"we\xff.wav")
    odd.write_bytes(usual.read_bytes())
    first, second = classify.rows([usual, odd], bundle, None, 2)
    assert second["error"] is None
    assert {k: v for k, v in first.items() if k != "path"} == {k: v for k, v in second.items() if k != "path"}


def test_a_worker_that_was_killed_is_one_refusal(bundle: Bundle, tmp_path: Path) -> None:
    rows = classify.rows([recording(tmp_path / "a.wav", 2)] * 999, bundle, None, 2)
    next(rows)
    for worker in active_children():
        worker.kill()
    with pytest.raises(LaennecError, match=r"a worker process has failed.*; give fewer --jobs"):
        list(rows)
    assert not active_children()


def test_rows_that_nobody_waits_for_end_their_workers(bundle: Bundle, tmp_path: Path) -> None:
    rows = classify.rows([recording(tmp_path / "a.wav", 2)] * 999, bundle, None, 2)
    next(rows)
    assert len(active_children()) == 2
    rows.close()
    assert not active_children()


def test_what_a_worker_refuses_is_refused_here(bundle: Bundle, tmp_path: Path) -> None:
    gone = dataclasses.replace(bundle, path=tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match=r"gone\.onnx: no such model"):
        list(classify.rows([tmp_path / "a.wav"] * 3, gone, None, 2))


@pytest.mark.parametrize("blocked", [set(), {signal.SIGINT}])
def test_signals_are_held_back_and_then_as_before(blocked: set[signal.Signals]) -> None:
    found = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with workers.signals_held():
            assert {signal.SIGINT, signal.SIGTERM} <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, found)


@pytest.mark.parametrize("error", [None, OSError])
def test_an_interrupt_held_back_is_answered_afterwards(error: type[Exception] | None) -> None:
    done = []

    def work() -> None:
        with workers.signals_held():
            signal.raise_signal(signal.SIGINT)
            done.append(True)
            if error:
                raise error

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_a_recording_cut_short_gets_its_error(bundle: Bundle, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.flac", 20)
    path.write_bytes(path.read_bytes()[:20_000])
    row = classify.classify(path, bundle)
    assert "cut short" in row["error"]
    assert row["label"] is None


def test_the_channel_chosen_is_classified(bundle: Bundle, tmp_path: Path) -> None:
    paths = [recording(tmp_path / f"{n}.wav", case=case) for n, case in enumerate(("normal", "murmur"))]
    both = np.stack([soundfile.read(path)[0] for path in paths], axis=1)
    soundfile.write(tmp_path / "both.wav", both, 4000, "PCM_16")
    for n in (0, 1):
        row = classify.classify(tmp_path / "both.wav", bundle, channel=n + 1)
        assert row | {"path": ""} == classify.classify(tmp_path / f"{n}.wav", bundle) | {"path": ""}


def test_folders_are_walked_sorted_where_they_are_named(tmp_path: Path) -> None:
    for name in ("in/b.wav", "in/a.flac", "in/deep/c.ogg", "in/.hidden.wav", "in/.git/d.wav", "in/notes.txt", "z.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = classify.expand([tmp_path / "z.wav", tmp_path / "in", tmp_path / "missing.wav", Path("x" * 300)])
    names = [os.path.relpath(p, tmp_path) for p in found[:-1]]
    assert names == ["z.wav", "in/a.flac", "in/b.wav", "in/deep/c.ogg", "missing.wav"]


def test_what_can_not_be_opened_in_a_folder_gets_its_row(tmp_path: Path) -> None:
    locked, sound, link = tmp_path / "in" / "locked", recording(tmp_path / "in" / "a.wav"), tmp_path / "in" / "gone.wav"
    locked.mkdir(mode=0)
    link.symlink_to("nowhere")
    done = unprivileged("classify", tmp_path / "in", "--out", tmp_path / "x.jsonl")
    assert (done.returncode, "2 of 3 recordings can't be used" in done.stderr) == (3, True), done.stderr
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [(row["path"], row["error"]) for row in rows] == [
        (str(sound), None),
        (str(link), f"{link}: is a link that leads nowhere; make it anew, or remove it"),
        (str(locked), f"{locked}: can't be opened: Permission denied; check its permissions"),
    ]
    refused(unprivileged("classify", locked), 3, f"{locked}: can't be opened: Permission denied; check its permissions")


def unprivileged(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program where permissions bind, which they do not for root."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*bound, *LAENNEC, *map(str, arguments)]
    return subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_without_sound_among_others_gets_its_row(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "empty", recording(tmp_path / "a.wav", 2), tmp_path / "missing"]
    assert classify.expand(given) == given
    errors = [row["error"] for row in classify.rows(given, bundle, None, 1)]
    assert errors == [
        f"{given[0]}: holds no sound file; give WAV, FLAC or OGG files, or a folder of them",
        None,
        f"{given[2]}: no such file; check the name",
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["empty"], "empty: holds no sound file; give"),
        (["missing.wav"], "missing.wav: no such file; give"),
        (["missing.wav", "empty", "gone"], r"missing.wav: no such file \(nor is there one in the other 2\); give"),
    ],
)
def test_nothing_at_all_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(InputFileError, match=said):
        classify.expand([tmp_path / name for name in names])


# Golden vectors


@pytest.fixture(scope="module")
def vectors() -> str:
    """The tiny bundle's golden vectors, made once, on one thread: more only wait for each other on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = json.dumps(export_golden.vectors(tiny_bundle.untrained()))
    torch.set_num_threads(threads)
    return made


@pytest.fixture
def proven(tmp_path: Path, vectors: str) -> Bundle:
    """A tiny bundle with its golden vectors beside it, as `laennec export` leaves them."""
    path = tiny_bundle.write(tmp_path / "tiny.onnx")
    path.with_suffix(".golden.json").write_text(vectors)
    return bundles.load(path)


def test_golden_vectors_of_an_export_pass(proven: Bundle) -> None:
    decisions, worst = golden.replay(proven)
    assert decisions >= 4 * 12
    assert 0 <= worst < 1e-4


def test_the_shipped_bundles_golden_vectors_pass() -> None:
    decisions, worst = golden.replay(bundles.load())
    assert decisions >= 10
    assert worst <= golden.TOLERANCE


def shifted(held: dict[str, Any]) -> None:
    held["cases"][1]["decisions"][-1]["probabilities"][0] += 0.01


def flip(key: str, *values: Any) -> Callable[[dict[str, Any]], None]:
    """Another value in the last decision of a case: the first of two that it does not have."""

    def alter(held: dict[str, Any]) -> None:
        decision = held["cases"][1]["decisions"][-1]
        decision[key] = next(v for v in values if v != decision[key])

    return alter


def no_number(held: dict[str, Any]) -> None:
    held["cases"][-1]["decisions"][-1]["probabilities"] = [float("nan")] * 5


def set_case(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda held: held["cases"][0].update({key: value})


ALTERED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a probability": shifted,
    "a probability that is no number": no_number,
    "a status": flip("status", "uncertain", "ok"),
    "a label": flip("label", "murmur", "normal"),
    "a label withheld": flip("label", None),
    "no status": lambda held: held["cases"][0]["decisions"][0].pop("status"),
    "no label": lambda held: held["cases"][0]["decisions"][0].pop("label"),
    "a time": lambda held: held["cases"][0]["decisions"][0].update(t_s=1.0),
    "a decision less": lambda held: held["cases"][0]["decisions"].pop(),
    "another order": lambda held: held["cases"][2]["decisions"][3]["probabilities"].reverse(),
    "too few probabilities": lambda held: held["cases"][0]["decisions"][0].update(probabilities=[0.2]),
    "no decisions": set_case("decisions", []),
    "no cases": lambda held: held.update(cases=[]),
    "no base64": set_case("int16_base64", "!!!!"),
    "half a sample": set_case("int16_base64", "AAAA"),
    "no rate": lambda held: held.pop("rate_hz"),
    "an impossible rate": lambda held: held.update(rate_hz=0),
    "another rate": lambda held: held.update(rate_hz=4000),
    "a wrong kind": set_case("decisions", 5),
}


@pytest.mark.parametrize("what", ALTERED)
def test_altered_golden_vectors_are_refused(proven: Bundle, what: str) -> None:
    path = golden.path_of(proven)
    held = json.loads(path.read_text())
    ALTERED[what](held)
    path.write_text(json.dumps(held))
    with pytest.raises(ModelError, match=r"tiny\.golden\.json: .*; (export|reinstall)") as refused:
        golden.replay(proven)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a status", r"is ok \w+ at \d\.\d\d s, and was uncertain \w+ when exported"),
        ("a label", r"is ok \w+ at \d\.\d\d s, and was ok (murmur|normal) when exported"),
        ("a label withheld", r"is ok \w+ at \d\.\d\d s, and was ok None when exported"),
    ],
)
def test_altered_golden_answers_are_told_with_what_they_were(proven: Bundle, what: str, said: str) -> None:
    path = golden.path_of(proven)
    held = json.loads(path.read_text())
    ALTERED[what](held)
    path.write_text(json.dumps(held))
    with pytest.raises(ModelError, match=said):
        golden.replay(proven)


def test_altered_golden_samples_are_refused(tmp_path: Path) -> None:
    # The shipped model: an untrained one answers nearly alike whatever it hears.
    for path in (bundles.SHIPPED, golden.path_of(bundles.load())):
        shutil.copy(path, tmp_path / path.name)
    model = bundles.load(tmp_path / bundles.SHIPPED.name)
    held = json.loads(golden.path_of(model).read_text())
    case = held["cases"][0]
    samples = np.frombuffer(base64.b64decode(case["int16_base64"]), dtype="<i2").copy()
    samples[9000:9400] = np.resize([30_000, -30_000, 30_000, 30_000, -30_000], 400)
    case["int16_base64"] = base64.b64encode(samples.tobytes()).decode()
    golden.path_of(model).write_text(json.dumps(held))
    with pytest.raises(ModelError, match=r"a probability differs|when exported"):
        golden.replay(model)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"5"])
def test_golden_vectors_that_are_none_are_refused(proven: Bundle, data: bytes) -> None:
    golden.path_of(proven).write_bytes(data)
    with pytest.raises(ModelError, match=r"golden vectors are damaged \((it holds bytes|it is no|a value).*; export"):
        golden.replay(proven)


def test_truncated_and_missing_golden_vectors_are_refused(proven: Bundle) -> None:
    path = golden.path_of(proven)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        golden.replay(proven)
    path.unlink()
    with pytest.raises(ModelError, match="no golden vectors beside the model; export"):
        golden.replay(proven)


def test_another_models_golden_vectors_are_refused(proven: Bundle, tmp_path: Path) -> None:
    other = tiny_bundle.untrained()
    with torch.no_grad():
        for weight in other.net.parameters():
            weight.mul_(1.5)
    golden.path_of(proven).write_text(json.dumps(export_golden.vectors(other)))
    with pytest.raises(ModelError, match=r"differs|when exported"):
        golden.replay(proven)


# Doctor


def by_name(findings: list[doctor.Finding]) -> dict[str, doctor.Finding]:
    assert all(f.state in {"ok", "notice", "fails"} for f in findings)
    for f in findings:
        assert f.detail
        assert bool(f.remedy) == (f.state != "ok"), f
    return {f.name: f for f in findings}


def test_the_doctor_looks_at_everything(proven: Bundle) -> None:
    findings = doctor.examine(proven.path)
    found = by_name(findings)
    told = [name for name in found if name != "permissions"]  # these where there is a sound card
    assert told == ["versions", "model", "golden vectors", "audio input", "terminal", "disk"]
    assert {found[n].state for n in ("versions", "model", "golden vectors")} == {"ok"}
    assert proven.sha256[:12] in found["model"].detail
    as_json = json.loads(json.dumps(doctor.as_json(findings)))
    assert [set(f) for f in as_json] == [{"name", "state", "detail", "remedy"}] * len(findings)


@pytest.mark.parametrize("data", [None, b"", b"no model", "cut"])
def test_a_broken_model_fails(proven: Bundle, data: bytes | str | None) -> None:
    whole = proven.path.read_bytes()
    if data is None:
        proven.path.unlink()
    else:
        proven.path.write_bytes(whole[: len(whole) // 2] if isinstance(data, str) else data)
    found = by_name(doctor.examine(proven.path))
    assert found["model"].state == found["golden vectors"].state == "fails"
    assert str(proven.path) in found["model"].detail


def test_golden_vectors_that_are_missing_fail_alone(proven: Bundle) -> None:
    golden.path_of(proven).unlink()
    found = by_name(doctor.examine(proven.path))
    assert (found["model"].state, found["golden vectors"].state) == ("ok", "fails")


@pytest.mark.parametrize(
    "message",
    ["PortAudio is missing (x), so no device: install it, for instance with y", "it is gone; plug it in"],
)
def test_audio_that_does_not_work_is_a_notice(proven: Bundle, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refuse() -> None:
        raise DeviceError(message)

    monkeypatch.setattr("stream.sources.portaudio.list_devices", refuse)
    audio = by_name(doctor.examine(proven.path))["audio input"]
    assert audio.state == "notice"
    assert audio.remedy in {"install it, for instance with y", "plug it in"}


def test_a_full_disk_and_no_device_are_notices(proven: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.sources.portaudio.list_devices", list)
    usage = shutil.disk_usage(proven.path.parent)._replace(free=10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    found = by_name(doctor.examine(proven.path))
    assert (found["audio input"].state, found["disk"].state) == ("notice", "notice")
