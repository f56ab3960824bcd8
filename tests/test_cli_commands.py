"""Every command does what the contract of names, options, outputs and exit codes says."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_servers import alsa_environment, mono_file_microphone, require_portaudio
from program import (
    HEADER,
    LAENNEC,
    RATE_HZ,
    check_decision,
    check_session,
    heart,
    lines,
    of_type,
    parsed,
    run,
    started,
    succeed,
    surroundings,
    wait_for_decisions,
    write_wav,
)

from models.classes import CLASSES

DISEASE_WORDS = ("diagnos", "disease", "patient has", "you have")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("recordings") / "heart.wav", heart(6.0))


# ---------------------------------------------------------------------------------------------- help

HELP = {
    "": (
        *("demo", "listen", "replay", "sessions", "session", "classify", "devices", "doctor"),
        *("train", "evaluate", "export", "model"),
    ),
    "demo": (
        "simulated",
        "bigeminy",
        "--noise",
        "--lost-contact",
        "--out",
        "--seconds",
        "--speed",
        "--model",
        "--log",
        "--record",
        "--session",
        "--plain",
        "--json",
        "--quiet",
    ),
    "listen": (
        *("microphone", "--device", "--rate", "--channel"),
        *("--log", "--record", "--session", "--plain", "--json", "--quiet"),
    ),
    "replay": (
        *("recordings", "--speed", "--loop", "--channel"),
        *("--log", "--record", "--session", "--plain", "--json", "--quiet"),
    ),
    "sessions": ("newest first", "DIR", "--json"),
    "session": ("show", "rm", "for good"),
    "session show": ("in words", "ID|PATH", "--in", "--json"),
    "session rm": ("for good", "--in", "--yes", "stay"),
    "classify": ("One row per recording", "--out", "--jobs", "--channel", "--model"),
    "devices": ("heard through", "--json"),
    "doctor": ("works on this machine", "--device", "--seconds", "--json", "--model"),
    "train": ("checkpoint", "--data", "--out", "--config", "--resume"),
    "evaluate": ("intervals", "--protocol", "--data", "--jobs", "--json"),
    "export": ("bundle", "--out", "--results"),
    "model": ("verify", "--json"),
}
HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "python_speech_features", "onnx", "sounddevice")


@pytest.mark.parametrize("command", HELP)
def test_help_names_what_it_does_and_loads_nothing_heavy(command: str) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", "laennec", *command.split(), "--help"]
    env = surroundings(COLUMNS="120", NO_COLOR="1")
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert f"Usage: laennec {command}".rstrip() in done.stdout
    for word in HELP[command]:
        assert word in done.stdout
    imported = {row.rpartition("|")[2].strip().partition(".")[0] for row in done.stderr.splitlines()}
    assert "typer" in imported, "the list of imports was not read"
    assert not imported & {"numpy", *HEAVY}


# ---------------------------------------------------------------------------------------------- demo


@pytest.mark.parametrize("case", CLASSES)
def test_demo_tells_every_case_as_json_lines(case: str) -> None:
    found = parsed(succeed("demo", case, "--seconds", 6, "--speed", "max", "--json"))
    end = check_session(found)
    assert found[0]["source"]["kind"] == "simulated"
    assert found[0]["source"]["name"] == f"SYNTHETIC {case}"
    assert end["ledger"] == {"captured": 24_000, "analysed": 24_000, "dropped": 0, "discarded": 0}
    assert end["reason"] == "end of input"
    statuses = [line["status"] for line in of_type("decision", found)]
    assert statuses[0] == "listening"
    assert set(statuses[-2:]) <= {"ok", "uncertain"}
    assert statuses == sorted(statuses, key=lambda status: status != "listening"), "the window stays full"


def test_demo_plain_is_one_line_per_change_of_decision() -> None:
    out = succeed("demo", "murmur", "--seconds", 8, "--speed", "max", "--plain")
    *decisions, last = out.splitlines()
    texts = []
    for line in decisions:
        stamp, _, text = line.partition("  ")
        assert re.fullmatch(r"00:00:\d\d\.\d", stamp)
        texts.append(text.partition(" (p ")[0])
    assert texts[0] == "listening"
    assert len(texts) > 1
    assert all(before != after for before, after in itertools.pairwise(texts))
    assert last == "end: end of input; 32000 samples captured = 32000 analysed + 0 lost + 0 discarded"
    assert "\x1b" not in out
    assert "\r" not in out
    assert not any(word in out.lower() for word in DISEASE_WORDS)


def test_output_that_is_no_terminal_gets_plain_lines() -> None:
    arguments = ("demo", "--seconds", 5, "--speed", "max")
    assert succeed(*arguments, FORCE_COLOR="1") == succeed(*arguments, "--plain")


def test_quiet_prints_nothing_and_logs_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "session.jsonl"
    assert succeed("demo", "--seconds", 5, "--speed", "max", "--quiet", "--log", log) == ""
    check_session(lines(log))


def test_log_does_not_depend_on_the_speed_and_json_is_the_log(tmp_path: Path) -> None:
    slow, quick = tmp_path / "slow.jsonl", tmp_path / "quick.jsonl"
    began_s = time.monotonic()
    out = succeed("demo", "extrasystole", "--seconds", 6, "--speed", 4, "--json", "--log", slow)
    assert time.monotonic() - began_s > 1.4, "speed 4 needs 1.5 s for 6 s"
    succeed("demo", "extrasystole", "--seconds", 6, "--speed", "max", "--log", quick)
    assert lines(slow)[1:] == lines(quick)[1:] == parsed(out)[1:]


def test_demo_options_reach_the_patient() -> None:
    options = ("--heart-rate", 100, "--seed", 5, "--snr", 12, "--seconds", 5, "--speed", "max", "--json")
    session = parsed(succeed("demo", *options))[0]
    assert {key: session["source"][key] for key in ("heart_rate_bpm", "seed", "snr_db")} == {
        "heart_rate_bpm": 100,
        "seed": 5,
        "snr_db": 12,
    }


def test_demo_knows_cases_beside_the_classes_and_noise_and_lost_contact() -> None:
    options = ("--noise", "rub", "--lost-contact", "1.5@2", "--seconds", 5, "--speed", "max", "--json")
    source = parsed(succeed("demo", "bigeminy", *options))[0]["source"]
    assert source["name"] == "SYNTHETIC bigeminy"
    assert source["noise"] == "rub"
    assert source["lost_contact"] == {"start_s": 2, "length_s": 1.5}


def test_demo_out_writes_sound_truth_and_labels_instead_of_a_session(tmp_path: Path) -> None:
    out = succeed("demo", "murmur", "--out", "x.wav", cwd=tmp_path)
    assert out.count("\n") == 1
    assert all(name in out for name in ("x.wav", "x.json", "x.txt", "30 s"))
    assert {path.name for path in tmp_path.iterdir()} == {"x.wav", "x.json", "x.txt"}
    samples, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="float32")
    assert (rate_hz, len(samples)) == (RATE_HZ, 30 * RATE_HZ)
    np.testing.assert_allclose(samples[: 6 * RATE_HZ], heart(6.0), atol=1e-4)
    (known,) = parsed(json.dumps(json.loads((tmp_path / "x.json").read_text())) + "\n")
    assert known["class"] == "murmur"
    assert len(known["onsets"]) == pytest.approx(30 * 72 / 60 * 2, abs=3)
    assert {event["event"] for event in known["events"]} == {"murmur"}
    assert len((tmp_path / "x.txt").read_text().splitlines()) == len(known["onsets"]) + len(known["events"])
    assert succeed("demo", "--out", "y.wav", "--seconds", 2, "--quiet", cwd=tmp_path) == ""
    assert soundfile.info(tmp_path / "y.wav").frames == 2 * RATE_HZ


# ---------------------------------------------------------------------------------------------- replay


def test_recording_of_a_demo_replays_to_the_same_decisions(tmp_path: Path) -> None:
    log, kept, again = tmp_path / "demo.jsonl", tmp_path / "kept.wav", tmp_path / "replay.jsonl"
    succeed("demo", "murmur", "--seconds", 6, "--speed", "max", "--log", log, "--record", kept)
    samples, rate_hz = soundfile.read(kept, dtype="float32")
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(samples, heart(6.0))
    succeed("replay", kept, "--speed", "max", "--log", again)
    assert lines(again)[1:] == lines(log)[1:]
    assert lines(again)[0]["source"]["name"] == "kept.wav"


def test_replay_of_two_files_leaves_two_whole_sessions(recording: Path, tmp_path: Path) -> None:
    other, log = write_wav(tmp_path / "other.flac", heart(5.0, "normal"), subtype="PCM_24"), tmp_path / "log.jsonl"
    succeed("replay", recording, other, "--speed", "max", "--log", log)
    found = lines(log)
    cut = next(index for index, line in enumerate(found) if index and line["type"] == "session")
    assert check_session(found[:cut])["ledger"]["captured"] == 24_000
    assert check_session(found[cut:])["ledger"]["captured"] == 20_000
    assert [found[0]["source"]["name"], found[cut]["source"]["name"]] == ["heart.wav", "other.flac"]


def test_replay_hears_the_channel_that_is_named(recording: Path, tmp_path: Path) -> None:
    stereo = write_wav(tmp_path / "stereo.wav", np.stack([np.zeros(24_000, np.float32), heart(6.0)], axis=1))
    mono = succeed("replay", recording, "--speed", "max", "--plain")
    assert succeed("replay", stereo, "--channel", 2, "--speed", "max", "--plain") == mono
    assert succeed("replay", stereo, "--channel", 1, "--speed", "max", "--plain") != mono


def test_replay_keeps_a_copy_to_the_bit(recording: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.wav"
    succeed("replay", recording, "--speed", "max", "--record", copy)
    np.testing.assert_array_equal(soundfile.read(copy)[0], soundfile.read(recording)[0])


@pytest.mark.parametrize("seconds", [0.3, 6.0])
def test_loop_goes_on_until_ctrl_c(tmp_path: Path, seconds: float) -> None:
    # Short files spend most of their time between two sessions, where Ctrl-C must end it in good order too.
    file = write_wav(tmp_path / "short.wav", heart(seconds))
    log = tmp_path / "log.jsonl"
    with started("replay", file, "--loop", "--speed", "max", "--quiet", "--log", log) as process:
        wait_for_decisions(log, 12 if seconds > 1 else 3, process)
        assert finish(process, signal.SIGINT) == (0, "", "")
    found = lines(log)
    assert found[-1]["reason"] in {"stopped", "end of input"}, "Ctrl-C may come just after a session's last sample"
    sessions, ends = of_type("session", found), of_type("end", found)
    assert len(sessions) == len(ends) > 1
    assert all(end["ledger"]["captured"] == round(seconds * RATE_HZ) for end in ends[:-1])


def finish(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """Signal a running program, which is to end within 2 s; exit code and outputs."""
    asked_s = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - asked_s < 2.0
    return process.returncode, out, err


# ---------------------------------------------------------------------------------------------- classify


def rows_of(text: str) -> list[dict[str, str]]:
    assert text.splitlines()[0] == HEADER
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good recordings, in a folder below too, a bad one, a hidden one and one that is no sound."""
    made = tmp_path_factory.mktemp("many")
    (made / "below").mkdir()
    write_wav(made / "a.wav", heart(6.0))
    write_wav(made / "c.flac", heart(5.0, "normal"), subtype="PCM_16")
    write_wav(made / "below" / "d.wav", heart(5.0, "artifact"))
    (made / "b.wav").write_text("not a recording")
    write_wav(made / ".hidden.wav", heart(0.5))
    (made / "notes.txt").write_text("no sound file")
    return made


def test_classify_one_file_on_standard_output(recording: Path) -> None:
    (row,) = rows_of(succeed("classify", recording))
    assert (row["path"], row["duration_s"], row["error"]) == (str(recording), "6.0", "")
    assert row["status"] in {"ok", "uncertain"}
    assert bool(row["label"]) == (row["status"] == "ok")
    probabilities = {name: float(row[f"p_{name}"]) for name in CLASSES}
    assert abs(sum(probabilities.values()) - 1) < 1e-5
    assert not row["label"] or row["label"] == max(probabilities, key=probabilities.__getitem__)
    assert float(row["heart_rate_bpm"]) == pytest.approx(72, abs=6)
    assert 0 <= float(row["quality"]) <= 1


def test_classify_goes_on_after_a_bad_file_and_says_so_at_the_end(folder: Path, tmp_path: Path) -> None:
    out, lined = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    for name, jobs in ((out, 1), (lined, 2)):
        done = run("classify", folder, "--out", name, "--jobs", jobs)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == "laennec: 1 of 4 recordings can't be used; see the column 'error'\n"
    rows = rows_of(out.read_text())
    assert [Path(row["path"]).name for row in rows] == ["a.wav", "b.wav", "d.wav", "c.flac"]
    assert [bool(row["error"]) for row in rows] == [False, True, False, False]
    assert "b.wav: is no sound file" in rows[1]["error"]
    assert set(rows[1].values()) == {"", rows[1]["path"], rows[1]["error"]}
    objects = parsed(lined.read_text())
    assert [list(row) for row in objects] == [HEADER.split(",")] * 4
    as_text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in objects]
    assert as_text == rows, "two jobs answer as one does, in the same order; CSV and JSON say the same"


# ---------------------------------------------------------------------------------------------- machine and model


def test_devices_lists_a_microphone_in_both_forms(tmp_path: Path) -> None:
    require_portaudio()
    raw = tmp_path / "microphone.raw"
    heart(1.0).tofile(raw)
    env = alsa_environment(tmp_path, mono_file_microphone("stethoscope", raw))
    (device,) = json.loads(succeed("devices", "--json", **env))
    assert (device["name"], device["host_api"], device["max_input_channels"]) == ("stethoscope", "ALSA", 1)
    assert (device["id"], device["looks_like_stethoscope"]) == ("alsa:stethoscope", True)
    assert {44_100, 48_000, 8000} <= set(device["rates_hz"])
    first, second = succeed("devices", **env).splitlines()
    assert "stethoscope, ALSA  (default, looks like a stethoscope)" in first
    assert "alsa:stethoscope   1 ch   44100 Hz of its own; takes 44100, 48000" in second


def test_devices_without_a_microphone_points_to_the_demo(tmp_path: Path) -> None:
    require_portaudio()
    (tmp_path / "asound.conf").write_text("pcm.nothing { type empty }\n")
    env = {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    assert "laennec demo" in succeed("devices", **env)
    assert json.loads(succeed("devices", "--json", **env)) == []


def test_doctor_finds_the_shipped_model_sound_and_names_remedies() -> None:
    findings = {finding["name"]: finding for finding in json.loads(succeed("doctor", "--json"))}
    usual = {"versions", "model", "golden vectors", "audio input", "terminal", "disk"}
    assert set(findings) - {"permissions"} == usual  # permissions are told where there is a sound card
    assert findings["model"]["state"] == findings["golden vectors"]["state"] == "ok"
    for finding in findings.values():
        assert list(finding) == ["name", "state", "detail", "remedy"]
        assert (finding["state"] == "ok") == (finding["remedy"] == "")


def test_doctor_fails_with_a_broken_model_and_looks_at_the_rest(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\0" * 100)
    done = run("doctor", "--model", broken)
    assert (done.returncode, done.stderr) == (5, "")
    assert re.search(r"^fails +model .*broken\.onnx: is not a whole ONNX model\n +-> copy or export", done.stdout, re.M)
    assert re.search(r"^(ok|notice) +disk", done.stdout, re.M)


def test_model_describes_what_is_shipped() -> None:
    out = succeed("model")
    for word in ("sha256", "Hz", "window", "abstains", "licence", "intended use", "verified"):
        assert word in out
    meta = json.loads(succeed("model", "--json"))
    assert meta["classes"] == list(CLASSES)
    assert meta["sha256"] in out
    assert meta["id"] in out


# ---------------------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_a_live_session_in_good_order(tmp_path: Path, number: int) -> None:
    log, kept = tmp_path / "log.jsonl", tmp_path / "kept.wav"
    with started("demo", "--plain", "--log", log, "--record", kept) as process:
        wait_for_decisions(log, 2, process)
        code, out, err = finish(process, number)
    assert (code, err) == (0, "")
    end = check_session(lines(log))
    assert end["reason"] == "stopped"
    captured = end["ledger"]["captured"]
    assert out.splitlines()[-1].startswith(f"end: stopped; {captured} samples captured")
    assert soundfile.info(kept).frames == captured


def test_session_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    command = ["nohup", *LAENNEC, "demo", "--quiet", "--log", log]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=surroundings(), stdout=pipe, stderr=pipe, text=True)
    try:
        wait_for_decisions(log, 1, process)
        process.send_signal(signal.SIGHUP)
        wait_for_decisions(log, 3, process)
        assert finish(process, signal.SIGTERM)[0] == 0
    finally:
        process.kill()
        process.communicate()
    check_session(lines(log))


def test_log_of_a_killed_session_is_whole_up_to_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with started("demo", "--speed", 1, "--log", log, "--quiet") as process:
        # They are due after 2.5 s. A log that is not flushed shows nothing for the first 14 s.
        wait_for_decisions(log, 4, process, timeout_s=11.0)
        process.kill()
        process.communicate()
    first, *rest = lines(log)
    decisions = of_type("decision", rest)
    assert first["type"] == "session"
    assert len(decisions) >= 4
    for decision in decisions:
        check_decision(decision)


@pytest.mark.parametrize("arguments", [("demo", "--plain"), ("demo", "--json"), ("model",), ("classify", "RECORDING")])
def test_reader_that_goes_away_is_a_normal_end(recording: Path, arguments: tuple[str, ...]) -> None:
    command = [*LAENNEC, *(str(recording) if word == "RECORDING" else word for word in arguments)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=surroundings(), stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    if arguments[0] == "demo":
        assert process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(tmp_path: Path, closed: str) -> None:
    log = tmp_path / "log.jsonl"
    command = f'"$0" -m laennec demo --seconds 5 --speed max --log "$1" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, log],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    check_session(lines(log))
