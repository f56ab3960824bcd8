"""`laennec doctor --device`: the real PortAudio listens, and what it says of the device is true; it always ends."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
from audio_servers import (
    alsa_environment,
    feeding,
    mono_file_microphone,
    pulse_server,
    require_portaudio,
    require_pulseaudio,
)
from program import run, started

from export import golden as export_golden
from stream import doctor
from stream.doctor import Finding

RATE_HZ = 4_000
SOUND = ("level", "clipping", "noise floor", "DC offset", "hum", "low frequencies")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with golden vectors: the exit code is then the device's alone."""
    path = tiny_bundle.write(tmp_path_factory.mktemp("bundle") / "tiny.onnx")
    path.with_suffix(".golden.json").write_text(json.dumps(export_golden.vectors(tiny_bundle.untrained())))
    return path


def noise(rate_hz: int, seconds: int) -> np.ndarray:
    """White, -40 dBFS."""
    return (0.01 * np.random.default_rng(1).standard_normal(seconds * rate_hz)).astype(np.float32)


def chunks(samples: np.ndarray, rate_hz: int) -> Iterator[np.ndarray]:
    """20 ms at a time, over and over."""
    return itertools.cycle(np.split(samples, len(samples) * 50 // rate_hz))


def by_name(out: str) -> dict[str, dict[str, str]]:
    found = json.loads(out)
    assert len({f["name"] for f in found}) == len(found)
    for f in found:
        assert list(f) == ["name", "state", "detail", "remedy"]
        assert bool(f["remedy"]) == (f["state"] != "ok"), f
    return {f["name"]: f for f in found}


def ended(done: subprocess.CompletedProcess[str], code: int) -> dict[str, dict[str, str]]:
    """What a run found that ended with this code and nothing on standard error."""
    assert (done.returncode, done.stderr) == (code, "")
    return by_name(done.stdout)


def drift_told(found: dict[str, dict[str, str]]) -> tuple[float, float]:
    match = re.match(r"([+-]\d+) ppm .* give or take (\d+) after (\d+) s", found["clock"]["detail"])
    assert match, found["clock"]
    return float(match[1]), float(match[2])


@pytest.mark.parametrize(("rate_hz", "speed", "seconds"), [(4_000, 1.0, 4), (48_000, 1.01, 3)])
def test_known_noise_is_measured_and_the_drift_lies_within_what_is_said(
    tmp_path: Path, bundle: Path, rate_hz: int, speed: float, seconds: int
) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, rate_hz) as server, feeding(server.fifo) as fed:
        fed.start(chunks(noise(rate_hz, 5), rate_hz), chunk_s=0.02 / speed)
        options = ("--device", "pulsemic", "--rate", rate_hz, "--seconds", seconds, "--model", bundle, "--json")
        found = ended(run("doctor", *options, **server.env), 0)
    assert [*found][-9:] == ["device", *SOUND, "losses", "clock"]
    about = rf"pulsemic, ALSA: channel 1 of 32 at {rate_hz} Hz, judged by {seconds}\.\d s"
    assert re.fullmatch(about, found["device"]["detail"])
    assert {found[name]["state"] for name in ("device", *SOUND, "losses")} == {"ok"}
    level_dbfs = float(found["level"]["detail"].split()[0])
    assert level_dbfs == pytest.approx(-40.0, abs=0.3)
    ppm, within = drift_told(found)
    assert abs(ppm - (speed - 1) * 1e6) <= within < 5_000
    assert found["clock"]["state"] == ("ok" if speed == 1 else "notice")


def test_losses_of_the_device_are_counted(tmp_path: Path, bundle: Path) -> None:
    require_pulseaudio()
    lost_samples = 35 * RATE_HZ // 50
    # Every 4.7 s, 0.7 s of which it delivers nothing: wherever the listening begins, one falls well within it.
    feed = itertools.cycle([*np.split(noise(RATE_HZ, 4), 200), *[np.zeros(0, np.float32)] * 35])
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        options = ("--device", "pulsemic", "--seconds", 9, "--rate", RATE_HZ, "--model", bundle, "--json")
        fed.start(feed, chunk_s=0.02)
        found = ended(run("doctor", *options, **server.env), 0)
    assert found["losses"]["state"] == "notice"
    lost, total = map(int, re.findall(r"\d+", found["losses"]["detail"])[:2])
    assert 1 <= round(lost / lost_samples) <= 2
    assert lost == pytest.approx(round(lost / lost_samples) * lost_samples, rel=0.12)
    assert 9.5 * RATE_HZ <= total < 9.5 * RATE_HZ + lost_samples + 0.2 * RATE_HZ
    assert "frames against clock" in found["losses"]["detail"]
    assert "samples were lost" in found["clock"]["detail"]


def test_wedged_driver_ends_in_a_finding(tmp_path: Path, bundle: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        fed.start([noise(RATE_HZ, 4)])
        began_s = time.monotonic()
        options = ("--device", "microphone", "--rate", RATE_HZ, "--seconds", 30, "--model", bundle, "--json")
        done = run("doctor", *options, **env)
        assert time.monotonic() - began_s < 20.0
    assert (done.returncode, done.stderr) == (4, "")
    found = by_name(done.stdout)
    assert [name for name, f in found.items() if f["state"] == "fails"] == ["device"]
    assert "gives no more audio" in found["device"]["detail"]
    assert set(found) >= set(SOUND), "what came before was not judged"


def test_device_that_never_gives_anything_is_one_finding(tmp_path: Path, bundle: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        began_s = time.monotonic()
        found = ended(run("doctor", "--device", "microphone", "--model", bundle, "--json", **env), 4)
        assert time.monotonic() - began_s < 20.0
    assert [*found][-1] == "device"
    assert "gives no more audio" in found["device"]["detail"]


def test_ctrl_c_ends_the_listening_and_judges_what_was_heard(tmp_path: Path, bundle: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        fed.start(chunks(noise(RATE_HZ, 5), RATE_HZ), chunk_s=0.02)
        options = ("--device", "microphone", "--rate", RATE_HZ, "--seconds", 60, "--model", bundle)
        with started("doctor", *options, env={**env, "PYTHONUNBUFFERED": "1"}) as process:
            assert any(" disk " in line for line in process.stdout), "general findings are told before listening"
            time.sleep(2.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (0, "")
    heard_s = float(re.search(r"judged by (\d+\.\d) s", out)[1])
    assert 1.0 < heard_s < 12.0, "a FIFO holds some 4 s, which come at once"
    assert re.search(r"^ok +level +-\d\d\.\d dBFS RMS", out, re.M)


def test_muted_microphone_fails(tmp_path: Path, bundle: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        fed.start(itertools.repeat(np.zeros(2_000, np.float32)), chunk_s=0.02)
        options = ("--seconds", 2, "--model", bundle, "--json")
        found = ended(run("doctor", *options, **env, XDG_CONFIG_HOME=str(tmp_path)), 4)  # none is remembered there
    assert found["level"]["state"] == "fails"
    assert "unmute" in found["level"]["remedy"]
    assert "microphone, ALSA" in found["device"]["detail"], "the default device is taken where none is named"
    assert "hum" not in found


def test_microphone_that_gives_no_numbers_fails(tmp_path: Path, bundle: Path) -> None:
    require_portaudio()
    sound = noise(RATE_HZ, 4)
    sound[::7] = np.nan
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        fed.start(chunks(sound, RATE_HZ), chunk_s=0.02)
        options = ("--device", "microphone", "--rate", RATE_HZ, "--seconds", 2, "--model", bundle, "--json")
        found = ended(run("doctor", *options, **env), 4)
    assert found["level"]["state"] == "fails"
    assert "14.3% of the values are no audio" in found["level"]["detail"]
    assert "hum" not in found


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--device", "stethophone"), "no input device matches 'stethophone'"), (("--channel", "7"), "no channel 7")],
)
def test_device_that_can_not_be_opened_is_a_finding(
    tmp_path: Path, bundle: Path, options: tuple[str, ...], words: str
) -> None:
    require_portaudio()
    noise(RATE_HZ, 1).tofile(tmp_path / "noise.raw")
    env = alsa_environment(tmp_path, mono_file_microphone("microphone", tmp_path / "noise.raw"))
    env["XDG_CONFIG_HOME"] = str(tmp_path)  # where none is remembered
    found = ended(run("doctor", *options, "--model", bundle, "--json", **env), 4)
    assert found["device"]["state"] == "fails"
    assert words in found["device"]["detail"]
    assert "laennec devices" in found["device"]["remedy"]
    assert found["disk"]["state"] == "ok"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "1000"), "2000 to 192000"),
        (("--channel", "0"), "numbered from 1"),
        (("--seconds", "1"), "choose 2 to 60 s"),
        (("--seconds", "nan"), "choose 2 to 60 s"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_done(options: tuple[str, ...], words: str) -> None:
    done = run("doctor", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# Permissions, and the code at the end


def test_inputs_that_may_not_be_opened_name_the_group_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("controlC0", "pcmC0D0c", "pcmC0D0p", "pcmC1D0c"):
        (tmp_path / name).touch()
    (well,) = doctor._permissions(tmp_path)
    assert (well.state, well.detail) == ("ok", "this user may open 2 sound card input(s)")
    # As root nothing is forbidden: the answer that others get has to be put into the system's mouth.
    monkeypatch.setattr(os, "access", lambda path, _mode: "C1" not in str(path))
    (refused,) = doctor._permissions(tmp_path)
    assert refused.state == "notice"
    assert "pcmC1D0c" in refused.detail
    assert "pcmC0D0c" not in refused.detail
    assert f"usermod -aG {tmp_path.group()} " in refused.remedy


def test_no_sound_card_says_nothing_of_permissions(tmp_path: Path) -> None:
    assert doctor._permissions(tmp_path) == []
    assert doctor._permissions(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("failing", "code"),
    [((), 0), (("level",), 4), (("device",), 4), (("model",), 5), (("golden vectors", "device"), 5)],
)
def test_exit_code_says_whether_model_or_device_fails(failing: tuple[str, ...], code: int) -> None:
    names = ("model", "golden vectors", "audio input", "device", "level", "clock")
    findings = [Finding(name, "fails" if name in failing else "notice", "so", "mend it") for name in names]
    assert doctor.exit_code(findings) == code
