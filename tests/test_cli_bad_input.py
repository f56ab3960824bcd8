"""What a user gets wrong, or the machine does: one clear line, the right exit code, and nothing written is lost."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from audio_servers import alsa_environment, mono_file_microphone, require_portaudio
from onnx import TensorProto, helper
from program import (
    HEADER,
    LAENNEC,
    check_session,
    heart,
    lines,
    of_type,
    parsed,
    refused,
    run,
    succeed,
    surroundings,
    write_wav,
)

from models import bundle

QUICK = ("--seconds", 5, "--speed", "max")
FULL = Path("/dev/full")


# ---------------------------------------------------------------------------------------------- recordings


def with_value(path: Path, value: float) -> None:
    samples = heart(2.0).copy()
    samples[4000] = value
    write_wav(path, samples)


def cut_short(path: Path) -> None:
    write_wav(path, heart(2.0))
    path.write_bytes(path.read_bytes()[:-9000])


def flac_cut_short(path: Path) -> None:
    soundfile.write(path, heart(5.0), 4000, "PCM_16", format="FLAC")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def stereo(path: Path) -> None:
    write_wav(path, np.stack([heart(2.0)] * 2, axis=1))


BAD_RECORDINGS: dict[str, tuple[Callable[[Path], object], tuple[object, ...], tuple[str, ...]]] = {
    "no such file": (lambda path: None, (), ("no such file", "check the name")),
    "folder": (lambda path: path.mkdir(), (), ("is a folder", "laennec classify")),
    "empty": (lambda path: path.touch(), (), ("is empty", "copy it again")),
    "text": (lambda path: path.write_text("lub dub\n" * 99), (), ("is no sound file", "give WAV")),
    "truncated": (cut_short, (), ("is cut short", "copy it again")),
    "truncated FLAC": (flac_cut_short, (), ("cut short", "copy it again")),
    "no frames": (lambda path: write_wav(path, heart(0.0)), (), ("holds no audio", "record it again")),
    "stereo": (stereo, (), ("2 channels", "--channel 1 to 2")),
    "channel 3 of 2": (stereo, ("--channel", 3), ("no channel 3", "it has 2")),
    "channel 0": (stereo, ("--channel", 0), ("no channel 0", "numbered from 1")),
    "NaN": (lambda path: with_value(path, np.nan), (), ("NaN or infinity at 1.000 s", "export")),
    "infinity": (lambda path: with_value(path, -np.inf), (), ("NaN or infinity at 1.000 s", "export")),
    "1 kHz": (lambda path: write_wav(path, heart(2.0), 1000), (), ("1000 Hz", "2000 to", "convert it")),
}


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recording_is_one_line_and_exit_code_3(tmp_path: Path, kind: str) -> None:
    make, options, words = BAD_RECORDINGS[kind]
    path = tmp_path / "bad.wav"
    make(path)
    done = run("replay", path, *options, "--speed", "max")
    refused(done, 3, path, *words)


def test_classify_gives_every_bad_recording_its_row(tmp_path: Path) -> None:
    paths = []
    for kind, (make, options, _) in BAD_RECORDINGS.items():
        if kind != "folder" and not options:
            paths.append(tmp_path / f"{kind}.wav")
            make(paths[-1])
    good = write_wav(tmp_path / "good.wav", heart(5.0))
    done = run("classify", *paths, good)
    refused(done, 3, f"{len(paths)} of {len(paths) + 1} recordings", "error")
    assert done.stdout.splitlines()[0] == HEADER
    *bad, last = csv.DictReader(io.StringIO(done.stdout))
    for row, path in zip(bad, paths, strict=True):
        assert row["path"] == str(path)
        for word in BAD_RECORDINGS[path.stem][2]:
            assert word in row["error"]
        assert not row["label"]
    assert (last["path"], last["error"]) == (str(good), "")


def test_nothing_to_classify_is_one_line_and_begins_no_table(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths, words in (
        (["empty"], ("holds no sound file", "give WAV")),
        (["missing.wav", "empty"], ("missing.wav: no such file", "the other 1", "give WAV")),
    ):
        done = run("classify", *paths, "--out", "rows.csv", cwd=tmp_path)
        refused(done, 3, *words)
        assert not (tmp_path / "rows.csv").exists()
        assert run("classify", *paths, cwd=tmp_path).stdout == ""


@pytest.mark.parametrize("name", ["x" * 5000, "s3://" + "y " * 2500, "z" * 5000 + "://a.wav"])
def test_a_name_without_end_is_not_repeated_whole(name: str) -> None:
    line = refused(run("classify", name), 2 if "://" in name else 3, name[:50], "give")
    assert len(line) < 1600


def test_an_empty_folder_and_a_missing_path_do_not_keep_the_rest_from_being_classified(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_wav(tmp_path / "good.wav", heart(5.0))
    done = run("classify", "empty", "good.wav", "missing", cwd=tmp_path)
    refused(done, 3, "2 of 3 recordings", "error")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["path"], bool(row["error"])) for row in rows] == [
        ("empty", True),
        ("good.wav", False),
        ("missing", True),
    ]


@pytest.mark.parametrize(
    ("name", "samples", "status"),
    [
        ("too short to judge", heart(0.7), "listening"),
        ("a single sample", heart(0.7)[:1], None),
        ("silence", np.zeros(24_000, np.float32), "poor_signal"),
        ("clipping", np.clip(heart(6.0) * 1000, -1, 1), "poor_signal"),
    ],
)
def test_recording_that_says_little_is_heard_and_gets_no_label(
    tmp_path: Path, name: str, samples: np.ndarray, status: str | None
) -> None:
    found = parsed(succeed("replay", write_wav(tmp_path / "odd.wav", samples), "--speed", "max", "--json"))
    end = check_session(found)
    assert end["ledger"]["captured"] == len(samples)
    decisions = of_type("decision", found)
    assert [line["label"] for line in decisions] == [None] * len(decisions)
    assert (decisions[-1]["status"] if decisions else None) == status
    done = run("classify", tmp_path / "odd.wav")
    row = next(csv.DictReader(io.StringIO(done.stdout)))
    assert row["status"] == (status or "listening")
    assert (row["label"], "takes 0.2 s of sound" in row["error"]) == ("", status is None)
    assert done.returncode == (0 if status else 3)


def test_every_width_of_wav_is_heard_alike(tmp_path: Path) -> None:
    subtypes = ("FLOAT", "DOUBLE", "PCM_32", "PCM_24", "PCM_16", "PCM_U8")
    paths = [write_wav(tmp_path / f"{subtype}.wav", heart(5.0), subtype=subtype) for subtype in subtypes]
    rows = list(csv.DictReader(io.StringIO(succeed("classify", *paths))))
    assert [row["error"] for row in rows] == [""] * len(subtypes)
    for row, subtype in zip(rows, subtypes, strict=True):
        assert row["duration_s"] == "5.0"
        assert row["status"] in {"ok", "uncertain"}
        tolerance = {"PCM_U8": 0.5, "PCM_16": 0.05}.get(subtype, 0.002)
        for name in ("p_normal", "p_murmur", "p_artifact"):
            assert float(row[name]) == pytest.approx(float(rows[0][name]), abs=tolerance), subtype


def test_second_file_that_fails_leaves_the_first_session_whole(tmp_path: Path) -> None:
    good, bad, log = write_wav(tmp_path / "good.wav", heart(5.0)), tmp_path / "bad.wav", tmp_path / "log.jsonl"
    with_value(bad, np.nan)
    done = run("replay", good, bad, "--speed", "max", "--quiet", "--log", log)
    refused(done, 3, bad)
    found = lines(log)
    cut = next(index for index, line in enumerate(found) if index and line["type"] == "session")
    assert check_session(found[:cut])["ledger"]["captured"] == 20_000
    end = check_session(found[cut:])
    assert "NaN" in end["reason"], "the log says why the second ended"


@pytest.mark.parametrize("kind", ["no such file", "folder", "empty"])
def test_names_are_checked_before_the_first_file_is_heard(tmp_path: Path, kind: str) -> None:
    make, _, words = BAD_RECORDINGS[kind]
    good, log = write_wav(tmp_path / "good.wav", heart(5.0)), tmp_path / "log.jsonl"
    make(tmp_path / "bad.wav")
    done = run("replay", good, tmp_path / "bad.wav", good, "--speed", "max", "--log", log)
    refused(done, 3, "bad.wav", *words)
    assert done.stdout == ""
    assert not log.exists()


# ---------------------------------------------------------------------------------------------- models


def truncated(path: Path) -> None:
    path.write_bytes(bundle.SHIPPED.read_bytes()[:5000])


def foreign(path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "foreign", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


BAD_MODELS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing": (lambda path: None, ("no such model", "laennec export")),
    "folder": (lambda path: path.mkdir(), ("is a folder", "give the .onnx file")),
    "truncated": (truncated, ("not a whole ONNX model", "export it again")),
    "foreign": (foreign, ("not one of Laennec's", "laennec export")),
    "text": (lambda path: path.write_text("lub dub"), ("not a whole ONNX model", "export it again")),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_bad_model_is_one_line_and_exit_code_5(tmp_path: Path, kind: str) -> None:
    make, words = BAD_MODELS[kind]
    path = tmp_path / "model.onnx"
    make(path)
    log = tmp_path / "log.jsonl"
    refused(run("demo", "--model", path, "--log", log, *QUICK), 5, path, *words)
    assert not log.exists(), "nothing was begun"


@pytest.mark.parametrize("command", ["model", "classify"])
def test_bad_model_is_refused_by_the_other_commands_too(tmp_path: Path, command: str) -> None:
    path = tmp_path / "model.onnx"
    truncated(path)
    arguments = (path,) if command == "model" else (write_wav(tmp_path / "heart.wav", heart(1.0)), "--model", path)
    refused(run(command, *arguments), 5, path, "not a whole ONNX model")


# ---------------------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize(
    ("option", "name", "cause"),
    [
        ("--log", "missing/log.jsonl", "No such file"),
        ("--log", "folder", "Is a directory"),
        ("--log", "file/log.jsonl", "Not a directory"),
        ("--record", "missing/kept.wav", "can't be written"),
        ("--record", "folder.wav", "can't be written"),
        ("--record", "kept.mp3", ".wav or .flac"),
        ("--record", "kept", "without ending"),
    ],
)
def test_place_that_can_not_be_written_is_refused(tmp_path: Path, option: str, name: str, cause: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    refused(run("demo", *QUICK, option, tmp_path / name), 2, tmp_path / name, cause)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("replay", "missing.wav"), 3),
        (("replay", "stereo.wav"), 3),
        (("replay", "good.wav", "--speed", "0"), 2),
        (("replay", "good.wav", "--record", "kept.mp3"), 2),
        (("replay", "good.wav", "--record", "missing/kept.wav"), 2),
        (("demo", "--seconds", "5", "--record", "kept"), 2),
        (("demo", "--seconds", "5", "--model", "missing.onnx"), 5),
        (("demo", "hiccups"), 2),
    ],
)
def test_session_that_is_refused_leaves_an_older_log_as_it_was(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    write_wav(tmp_path / "good.wav", heart(1.0))
    stereo(tmp_path / "stereo.wav")
    older = '{"type": "session", "laennec": "1"}\n'
    (tmp_path / "old.jsonl").write_text(older)
    refused(run(*arguments, "--log", "old.jsonl", cwd=tmp_path), code)
    assert (tmp_path / "old.jsonl").read_text() == older


@pytest.mark.parametrize(
    ("name", "cause"), [("rows.xlsx", ".csv, .jsonl or .parquet"), ("missing/rows.csv", "No such file")]
)
def test_table_that_can_not_be_written_is_refused(tmp_path: Path, name: str, cause: str) -> None:
    recording = write_wav(tmp_path / "heart.wav", heart(1.0))
    refused(run("classify", recording, "--out", tmp_path / name), 2, tmp_path / name, cause)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_an_older_table_is_kept(tmp_path: Path, name: str) -> None:
    recording, out = write_wav(tmp_path / "heart.wav", heart(1.0)), tmp_path / name
    succeed("classify", recording, "--out", out)
    older = out.read_text() + "more\n"
    out.write_text(older)
    succeed("classify", recording, recording, "--out", out)
    (kept,) = tmp_path.glob(f"rows.*Z.{name[5:]}")
    assert kept.read_text() == older
    assert out.read_text().count("heart.wav") == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "file,label\n"),
        ("rows.jsonl", '{"type": "session"}\n'),
        ("rows.jsonl", "5\n"),
        ("rows.csv", "\xff"),
    ],
)
def test_what_is_no_table_of_ours_is_left_as_it_is(tmp_path: Path, name: str, text: str) -> None:
    recording, out = write_wav(tmp_path / "heart.wav", heart(1.0)), tmp_path / name
    out.write_text(text, encoding="latin-1")
    refused(run("classify", recording, "--out", out), 2, out, "is no table", "give another --out")
    assert out.read_text(encoding="latin-1") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heart.wav", name]


def needs_a_full_disk() -> None:
    assert FULL.is_char_device(), "these tests stand a full disk in by /dev/full, which Linux has"


@pytest.mark.parametrize("arguments", [("--log", FULL), ("--log", FULL, "--json")])
def test_full_disk_under_the_log_is_one_line(arguments: tuple[object, ...]) -> None:
    needs_a_full_disk()
    refused(run("demo", *QUICK, *arguments), 1, FULL, "No space left", "free some space")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("demo", *QUICK), "free some space"),
        (("demo", *QUICK, "--json"), "free some space"),
        (("model",), "use another place"),
        (("demo", "--help"), "use another place"),
    ],
)
def test_full_disk_under_standard_output_is_one_line(arguments: tuple[object, ...], remedy: str) -> None:
    needs_a_full_disk()
    with FULL.open("w") as full:
        done = subprocess.run(
            [*LAENNEC, *map(str, arguments)],
            env=surroundings(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    done.stdout = ""
    refused(done, 1, "standard output", "No space left", remedy)


@pytest.mark.parametrize("option", ["--record", "--log"])
def test_recording_is_never_written_over_by_what_is_kept_of_it(tmp_path: Path, option: str) -> None:
    path = write_wav(tmp_path / "heart.wav", heart(1.0))
    before = path.read_bytes()
    detour = tmp_path / "folder" / ".." / "heart.wav"
    detour.parent.parent.mkdir()
    refused(run("replay", path, option, detour, "--speed", "max"), 2, option, "would overwrite", "another name")
    assert path.read_bytes() == before


def test_one_recording_is_not_made_of_several_files(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "heart.wav", heart(1.0))
    for more in ((path,), ("--loop",)):
        refused(run("replay", path, *more, "--record", tmp_path / "kept.wav"), 2, "--record", "one file")
    assert not (tmp_path / "kept.wav").exists()


# ---------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "0"), ("--speed 0", "above 0", "max")),
        (("--speed", "banana"), ("--speed banana", "above 0", "max")),
        (("--speed", "-1"), ("--speed -1", "above 0", "max")),
        (("hiccups",), ("'hiccups'", "normal, murmur, extra_heart_sound, extrasystole, artifact")),
        (("--heart-rate", "300"), ("heart_rate", "45 to 180", "300")),
        (("--heart-rate", "nan"), ("heart_rate", "45 to 180", "nan")),
        (("--seconds", "0"), ("above 0", "leave it out")),
        (("--seed", "-1"), ("seed", "from 0", "-1")),
        (("--snr", "1000"), ("snr_db", "-20 to 100", "1000")),
        (("--noise", "hum"), ("'hum'", "ambient, rub, speech")),
        (("--lost-contact", "5"), ("'5'", "S@T")),
        (("artifact", "--lost-contact", "1@2"), ("'artifact'", "another case")),
        (("--out", "x.flac"), ("x.flac", ".wav")),
        (("--out", "missing/x.wav"), ("missing/x.wav", "No such file", "another --out")),
        (("--out", "x.wav", "--seconds", "0.0001"), ("one sample to one hour", "0.0001 s", "other --seconds")),
        *[
            (("--out", "missing/x.wav", *option), ("--out runs no session", "leave out", option[0]))
            for option in [
                ("--speed", "max"),
                ("--model", "x.onnx"),
                ("--log", "x.jsonl"),
                ("--record", "x.flac"),
                ("--plain",),
                ("--json",),
            ]
        ],
    ],
)
def test_setting_that_can_not_be_used_is_one_line(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(run("demo", *arguments), 2, *words)


@pytest.mark.parametrize(
    "arguments",
    [("demo", "--nothing"), ("sing",), ("replay",), ("demo", "--seconds", "long"), ("classify", "--jobs", "0")],
)
def test_command_line_that_makes_no_sense_exits_with_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, COLUMNS="120")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: laennec" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------------------------- devices

WITHOUT_PORTAUDIO = """
import ctypes.util
ctypes.util.find_library = lambda name: None  # what the system answers where the library is not installed
import laennec
laennec.main()
"""


def run_without_portaudio(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_PORTAUDIO, *arguments]
    return subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", ["listen", "devices"])
def test_missing_portaudio_exits_with_4_and_says_how_to_get_it(command: str) -> None:
    refused(run_without_portaudio(command), 4, "PortAudio is not installed", "apt install libportaudio2")


def test_missing_portaudio_does_not_keep_the_rest_from_working() -> None:
    done = run_without_portaudio("demo", "--seconds", "5", "--speed", "max")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_without_portaudio("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "PortAudio is not installed" in done.stdout


def test_computer_without_a_microphone_exits_with_4(tmp_path: Path) -> None:
    require_portaudio()
    (tmp_path / "asound.conf").write_text("pcm.nothing { type empty }\n")
    log = tmp_path / "log.jsonl"
    done = run("listen", "--log", log, ALSA_CONFIG_PATH=str(tmp_path / "asound.conf"))
    refused(done, 4, "no audio input device found", "laennec demo")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--device", "stethophone"), 4, ("'stethophone'", "there are", "microphone")),
        (("--device", "99"), 4, ("'99'", "there are", "microphone")),
        (("--device", "microphone", "--channel", "2"), 4, ("1 input channel", "no channel 2")),
        (("--rate", "1000"), 2, ("1000 Hz", "2000 to 192000")),
        (("--channel", "0"), 2, ("no channel 0", "numbered from 1")),
    ],
)
def test_device_that_can_not_be_used_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    require_portaudio()
    heart(1.0).tofile(tmp_path / "microphone.raw")
    env = alsa_environment(tmp_path, mono_file_microphone("microphone", tmp_path / "microphone.raw"))
    log = tmp_path / "old.jsonl"
    log.write_text("an older session\n")
    refused(run("listen", *arguments, "--log", log, **env), code, *words)
    assert log.read_text() == "an older session\n"
