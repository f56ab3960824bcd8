"""Damaged and hostile sound files, models, golden vectors: refused in a line or heard, in bounded memory and time."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_bundle
from conftest import ROOT
from fuzzing import described, mutants, outcomes
from program import heart, succeed, surroundings

from models import codec
from models.frontend import FrontEnd, FrontEndSpec, Matrices

FORMATS = {
    "wav": "PCM_16",
    "wavex": "FLOAT",
    "rf64": "PCM_24",
    "w64": "PCM_16",
    "aiff": "PCM_16",
    "au": "PCM_16",
    "caf": "PCM_16",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "mp3": "MPEG_LAYER_III",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("good") / "tiny.onnx")


# Sound files


def sound(kind: str) -> bytes:
    """0.8 s of a heart in a format."""
    buffer = io.BytesIO()
    soundfile.write(buffer, heart(0.8, rate_hz=8000), 8000, FORMATS[kind], format=kind.upper())
    return buffer.getvalue()


@pytest.mark.parametrize("kinds", [("wav", "wavex", "rf64", "w64", "aiff"), ("au", "caf", "flac", "ogg", "mp3")])
def test_a_damaged_sound_file_is_refused_or_heard(tmp_path: Path, good: Path, kinds: tuple[str, ...]) -> None:
    cases = {f"{kind}-whole.{kind}": sound(kind) for kind in kinds}
    for seed, kind in enumerate(kinds):
        made = mutants(sound(kind), 90, seed)
        cases |= {f"{kind}-{k}.{kind}": data for k, data in enumerate(made)}
    said = outcomes("sound", good, cases, tmp_path)
    assert all(not said[f"{kind}-whole.{kind}"] for kind in kinds), "what is whole is heard"
    refused = [text for text in said.values() if text]
    assert len(refused) > len(cases) / 4, "else the damage was none"
    assert all(text.startswith("InputFileError: ") for text in refused)


def wav(
    channels: int = 1, rate_hz: int = 4000, bits: int = 16, data: int = 6400, riff: int | None = None, code: int = 1
) -> bytes:
    """A WAV with 0.8 s of mono audio whose header claims what it likes."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * block % 2**32, block % 65_536, bits)
    size = 36 + data if riff is None else riff
    head = b"RIFF" + struct.pack("<I", size % 2**32) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", data % 2**32) + (heart(0.8) * 9999).astype("<i2").tobytes()


def aiff(frames: int, channels: int, rate: bytes = b"\x40\x0b\xfa\0\0\0\0\0\0\0") -> bytes:
    """An AIFF whose header claims what it likes; its rate is an 80-bit number, 8000 Hz."""
    comm = b"COMM" + struct.pack(">IhIh", 18, channels, frames, 16) + rate
    audio = (heart(0.8) * 9999).astype(">i2").tobytes()
    body = b"AIFF" + comm + b"SSND" + struct.pack(">III", len(audio) + 8, 0, 0) + audio
    return b"FORM" + struct.pack(">I", len(body)) + body


def wide(size: int) -> bytes:
    """The head of a WAV of 1024 channels at the highest rate, in FLOAT: a block of half a second is 400 MB."""
    channels, rate_hz = 1024, 192_000
    form = struct.pack("<HHIIHH", 3, channels, rate_hz, rate_hz * 4 * channels % 2**32, channels * 4, 32)
    sizes = (struct.pack("<I", n) for n in (36 + size, 16, size))
    return b"RIFF" + next(sizes) + b"WAVEfmt " + next(sizes) + form + b"data" + next(sizes)


CLAIMING: dict[str, bytes] = {
    "4 GB.wav": wav(data=2**32 - 1, riff=2**32 - 1),
    "3 GB.wav": wav(data=3 * 2**30),
    "4 GB of data.wav": wav(data=2**32 - 8),
    "3 GB of data.wav": wav(data=3 * 2**30, riff=0),
    "65535 channels.wav": wav(channels=65_535),
    "1024 channels.wav": wav(channels=1024),
    "no channel.wav": wav(channels=0),
    "no rate.wav": wav(rate_hz=0),
    "highest rate.wav": wav(rate_hz=2**32 - 1),
    "negative rate.wav": wav(rate_hz=2**31),
    "no bits.wav": wav(bits=0),
    "65535 bits.wav": wav(bits=65_535),
    "codec of nobody.wav": wav(code=0x7777),
    "adpcm.wav": wav(code=2, bits=4),
    "gsm.wav": wav(code=0x31, bits=0),
    "2^32 frames.aiff": aiff(2**32 - 1, 1),
    "32767 channels.aiff": aiff(3200, 32_767),
    "no channel.aiff": aiff(3200, 0),
    "endless rate.aiff": aiff(3200, 1, b"\x7f\xff" + b"\xff" * 8),
    "rate NaN.aiff": aiff(3200, 1, b"\x7f\xff\xc0" + bytes(7)),
    "rate 0.aiff": aiff(3200, 1, bytes(10)),
    "rf64 of 2^63.rf64": b"RF64\xff\xff\xff\xffWAVEds64"
    + struct.pack("<IQQQI", 28, 2**63, 2**63, 2**63, 0)
    + wav()[12:],
    "2^40 samples.flac": sound("flac")[:18] + sound("flac")[18:21] + b"\xff" * 5 + sound("flac")[26:],
    "chunk of 4 GB.wav": wav()[:12] + b"LIST" + struct.pack("<I", 2**32 - 1) + wav()[12:],
    "a million chunks.wav": wav()[:12] + (b"junk" + bytes(4)) * 10**6 + wav()[12:],
    "text of 8 MB.flac": b"fLaC\x04\x7f\xff\xff" + struct.pack("<I", 2**32 - 1) + bytes(8 * 10**6),
}


def test_a_header_that_claims_too_much_is_refused_or_heard_as_far_as_it_goes(tmp_path: Path, good: Path) -> None:
    cases = {name.replace(" ", "-"): data for name, data in CLAIMING.items()} | {"whole.wav": wav()}
    said = outcomes("sound", good, cases, tmp_path)
    assert said["whole.wav"] == ""
    for name in ("no-rate.wav", "highest-rate.wav", "65535-channels.wav", "3-GB.wav", "no-channel.aiff"):
        assert said[name].startswith("InputFileError: "), name


def test_a_thousand_channels_at_the_highest_rate_are_read_in_little_memory(tmp_path: Path, good: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    with (folder / "wide.wav").open("wb") as file:
        size = 192_000 * 1024 * 4
        file.truncate(44 + size)  # sparse: zeros that take no disk
        file.write(wide(size))
    command = [sys.executable, ROOT / "tests" / "untrusted.py", "sound", good, folder]
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, done.stderr, answer["said"]) == (0, "", "")
    assert answer["grown_mb"] < 100


# Models: bytes


def test_a_damaged_model_is_refused_or_answers(tmp_path: Path, good: Path) -> None:
    whole = tiny_bundle.default_data()
    cases = {"whole.onnx": whole}
    cases |= {f"any-{k}.onnx": data for k, data in enumerate(mutants(whole, 300, 0, len(whole)))}
    at = whole.index(b'{"schema"')
    cases |= {f"graph-{k}.onnx": data for k, data in enumerate(mutants(whole[:at], 100, 1, at))}
    head = (data + whole[at:] for data in mutants(whole[:at], 200, 2, at))
    cases |= {f"head-{k}.onnx": data for k, data in enumerate(head)}
    said = outcomes("model", good, cases, tmp_path)
    assert said["whole.onnx"] == ""
    refused = [text for text in said.values() if text]
    assert len(refused) > len(cases) / 4
    assert all(text.startswith("ModelError: ") for text in refused)


def test_text_that_is_no_utf8_is_refused(tmp_path: Path, good: Path) -> None:
    whole = tiny_bundle.default_data()
    cases = {f"{k}.onnx": whole.replace(b'"licence"', b'"lic\xff\xfe%de"' % k, 1) for k in range(2)}
    assert all("description" in said or "whole" in said for said in outcomes("model", good, cases, tmp_path).values())


# Models: description


def matching(meta: dict[str, Any]) -> dict[str, Any]:
    """The same description with the digest that belongs to it, as whoever means harm would write it."""
    try:
        spec = codec.decode_spec(FrontEndSpec, meta["front_end"])
        matrices = Matrices(**{k: codec.decode_matrix(v) for k, v in meta["matrices"].items()})
        return meta | {"front_end_digest": FrontEnd(spec, matrices).digest}
    except Exception:  # then the front end itself is refused
        return meta


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the leaves of JSON values are."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))
    if path:
        yield path


NASTY: list[Any] = [
    float("nan"), float("inf"), float("-inf"), 0, -1, 1, 2, 3.5, 10**6, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324,
    "", "x" * 10_000, "a\nb\x1b[2J", None, True, [], {}, [[[]]], [1e308] * 5, {"shape": [0, 0], "float64_base64": ""},
]  # fmt: skip


def altered(seed: int) -> bytes:
    """A description with one to three leaves replaced, and the digest made to fit."""
    rng = np.random.default_rng(seed)
    meta = tiny_bundle.default_meta()
    leaves = [p for p in places(meta) if p[0] in _READ]
    for path in (leaves[int(k)] for k in rng.integers(len(leaves), size=rng.integers(1, 4))):
        inner: Any = meta
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = NASTY[int(rng.integers(len(NASTY)))]
        except (TypeError, LookupError):
            continue  # replaced above it already
    return described(json.dumps(matching(meta)))


_READ = {"schema", "classes", "id", "front_end", "front_end_digest", "matrices", "window", "join", "decide",
         "extrasystole", "quality", "rhythm"}  # fmt: skip


def test_an_altered_description_is_refused_or_answers_with_numbers(tmp_path: Path, good: Path) -> None:
    cases = {f"{seed}.onnx": altered(seed) for seed in range(500)}
    said = outcomes("model", good, cases, tmp_path)
    refused = [text for text in said.values() if text]
    assert 50 < len(refused) < len(cases)
    assert all(text.startswith("ModelError: ") for text in refused)


def with_matrix(change: Callable[[np.ndarray], np.ndarray], **front_end: Any) -> dict[str, Any]:
    """A description with another filter bank, and a front end that goes with it."""
    meta = tiny_bundle.default_meta()
    meta["matrices"]["bank"] = codec.encode_matrix(change(codec.decode_matrix(meta["matrices"]["bank"])))
    meta["front_end"] |= front_end
    return matching(meta)


def put(*keys: str, value: Any) -> dict[str, Any]:
    meta = tiny_bundle.default_meta()
    inner: Any = meta
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return matching(meta)


def machine(**parts: float) -> dict[str, Any]:
    """A kernel machine some of whose matrices are filled with a number."""
    meta = tiny_bundle.default_meta()
    for name, value in parts.items():
        shape = codec.decode_matrix(meta["extrasystole"][name]).shape
        meta["extrasystole"][name] = codec.encode_matrix(np.full(shape, value))
    return meta


def dumped(meta: dict[str, Any]) -> Callable[[], bytes]:
    return lambda: described(json.dumps(meta))


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "deep": (lambda: described("[" * 10**6), "description"),
    "deep in a whole one": (
        lambda: described(
            json.dumps(tiny_bundle.default_meta())[:-1] + ', "x": ' + '{"a":' * 10**5 + "1" + "}" * 10**5 + "}"
        ),
        "description",
    ),
    "10 MB text": (dumped(put("licence", value="x" * 10**7)), "too large"),
    "7 MB of lists": (lambda: described('{"schema": [' + "[]," * (7 * 10**6 // 3) + "0]}"), "description"),
    "7 MB of objects": (lambda: described("[" + '{"":0},' * 10**6 + "0]"), "description"),
    "a huge whole number": (dumped(put("schema", value=10**4000)), "schema"),
    "a name that clears the screen": (dumped(put("id", value="\x1b[2Jharmless")), "id"),
    "a name of two lines": (dumped(put("id", value="a\nb")), "id"),
    "a name without end": (dumped(put("id", value="x" * 10**5)), "id"),
    "a name that is a number": (dumped(put("id", value=17)), "id"),
    "keys that clear the screen": (dumped(put("decide", "\x1b[2J\n" * 999, value=1)), "?[2J"),
    "huge transform": (
        lambda: described(
            json.dumps(with_matrix(lambda m: np.ones((32, 2**14 + 1)), fft_samples=2**15, hop_samples=1))
        ),
        "fft_samples",
    ),
    "fast front end": (dumped(put("front_end", "rate_hz", value=10**12)), "rate_hz"),
    "thousands of bands": (
        lambda: described(json.dumps(with_matrix(lambda m: np.ones((900, 513)), bands=900))),
        "bands",
    ),
    "kernel of nobody": (dumped(put("front_end", "resampler", value="x")), "resampler"),
    "floor without end": (dumped(put("front_end", "floor", value=1e308)), "floor"),
    "floor NaN": (dumped(put("front_end", "floor", value=float("nan"))), "floor"),
    "filters without end": (lambda: described(json.dumps(with_matrix(lambda m: m * 1e300))), "huge"),
    "quality without end": (dumped(put("quality", "balance", value=1e308)), "huge"),
    "a million envelopes": (dumped(put("extrasystole", "intervals", "bands", value=[8] * 10**6)), "bands"),
    "machine without end": (dumped(machine(weights=1e308)), "number"),
    "spacing without end": (dumped(put("join", "spacing", value=1e308)), "number"),
    "tiny temperature": (dumped(put("join", "temperature", value=5e-324)), "number"),
}


def test_a_hostile_description_is_refused_for_what_it_is(tmp_path: Path, good: Path) -> None:
    cases = {f"{name.replace(' ', '-')}.onnx": make() for name, (make, _) in HOSTILE.items()}
    said = outcomes("model", good, cases, tmp_path)
    for name, (_, words) in HOSTILE.items():
        text = said[f"{name.replace(' ', '-')}.onnx"]
        assert text.startswith("ModelError: "), f"{name}: {text}"
        assert words in text, f"{name}: {text}"


def test_a_description_s_texts_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    meta = tiny_bundle.default_meta() | {"licence": "\x1b[2J\x1b]0;title\x07 free\nverified", "parameters": "9" * 9999}
    path = tmp_path / "m.onnx"
    path.write_bytes(described(json.dumps(meta)))
    shown = succeed("model", path)
    assert not re.search(r"[^\n -~]", shown.replace(str(tmp_path), ""))
    assert max(map(len, shown.splitlines())) < 300


# Golden vectors


def golden_vectors() -> dict[str, Any]:
    samples = (heart(1.0) * 9999).astype("<i2").tobytes()
    case = {"name": "x", "int16_base64": base64.b64encode(samples).decode(), "beats": [], "decisions": []}
    return {"rate_hz": 4000, "cases": [case]}


def test_damaged_golden_vectors_are_refused(tmp_path: Path, good: Path) -> None:
    text = json.dumps(golden_vectors()).encode()
    cases = {f"bytes-{k}": data for k, data in enumerate(mutants(text, 60, 5, 120))}
    for k, value in enumerate(NASTY):
        for key in ("rate_hz", "cases"):
            cases[f"{key}-{k}"] = json.dumps(golden_vectors() | {key: value}).encode()
        for key in ("name", "int16_base64", "beats", "decisions"):
            held = golden_vectors()
            held["cases"][0][key] = value
            cases[f"{key}-{k}"] = json.dumps(held).encode()
    cases["deep"] = b"[" * 10**6
    cases["endless rate"] = b'{"rate_hz": 1e999, "cases": []}'
    said = outcomes("golden", good, cases, tmp_path)
    assert all(text.startswith("ModelError: ") for text in said.values())
