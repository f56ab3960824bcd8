"""Sound files as streams: what is read is what is in them, and a bad one is refused in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputFileError
from stream.sources.file import FileSource, audio_files

Array = np.ndarray


def noise(frames: int = 9001, channels: int = 1, seed: int = 0) -> Array:
    found = np.random.default_rng(seed).uniform(-0.9, 0.9, (frames, channels))
    return found[:, 0] if channels == 1 else found


def wav(path: Path, frames: int = 8000, rate_hz: int = 4000) -> Path:
    soundfile.write(path, noise(frames), rate_hz, "PCM_16")
    return path


def read(source: FileSource) -> Array:
    blocks = list(source.blocks())
    source.close()
    assert [b.start for b in blocks] == np.cumsum([0, *(len(b.samples) for b in blocks)])[:-1].tolist()
    assert all(b.lost == 0 and b.rate_hz == source.rate_hz and b.samples.dtype == np.float32 for b in blocks)
    return np.concatenate([b.samples for b in blocks])


FORMATS = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("wav", "ULAW"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("ogg", "VORBIS"),
    ("aiff", "PCM_16"),
    ("au", "PCM_16"),
    ("caf", "PCM_16"),
    ("w64", "PCM_16"),
]


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
@pytest.mark.parametrize("rate_hz", [8000, 44_100])
def test_every_format_is_read_as_soundfile_reads_it(tmp_path: Path, suffix: str, subtype: str, rate_hz: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(), rate_hz, subtype)
    wanted = soundfile.read(path, dtype="float32")[0]
    assert np.abs(wanted).max() > 0.5
    source = FileSource(path)
    about = {"kind": "file", "name": path.name, "rate_hz": rate_hz, "channel": 1, "channels": 1, "frames": 9001}
    assert {k: v for k, v in source.description.items() if k != "format"} == about
    assert subtype in str(source.description["format"])
    assert source.duration_s == 9001 / rate_hz
    assert np.array_equal(read(source), wanted)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 9000), block=st.integers(1, 10_000))
def test_blocks_of_any_length_hold_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, frames: int, block: int
) -> None:
    path = wav(tmp_path_factory.mktemp("blocks") / "a.wav", frames)
    source = FileSource(path, block_samples=block)
    lengths = [len(b.samples) for b in source.blocks()]
    assert lengths == [block] * (frames // block) + [frames % block] * (frames % block > 0)
    assert np.array_equal(read(FileSource(path, block_samples=block)), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("channel", [1, 2, 3])
def test_the_channel_chosen_is_heard_and_no_other(tmp_path: Path, channel: int) -> None:
    soundfile.write(tmp_path / "a.wav", noise(channels=3), 8000, "FLOAT")
    found = read(FileSource(tmp_path / "a.wav", channel))
    assert np.array_equal(found, noise(channels=3)[:, channel - 1].astype(np.float32))


def test_mono_needs_no_channel_but_may_name_it(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    assert np.array_equal(read(FileSource(path)), read(FileSource(path, 1)))


def test_float_beyond_full_scale_is_kept(tmp_path: Path) -> None:
    samples = (noise() * 5).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, "FLOAT")
    assert np.array_equal(read(FileSource(tmp_path / "a.wav")), samples)


def test_real_time_is_kept_and_a_stop_is_seen_soon(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", 1200)
    began_s = time.monotonic()
    assert len(read(FileSource(path, speed=1))) == 1200
    assert 0.3 <= time.monotonic() - began_s < 2
    source = FileSource(wav(tmp_path / "b.wav", 4000 * 600), speed=1)
    heard = 0
    for block in source.blocks():
        heard += len(block.samples)
        source.stop()
    assert 0 < heard <= 4000
    source.close()
    source.close()


# Bad files


def truncated(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def cut_by(path: Path, n_bytes: int) -> Path:
    path.write_bytes(path.read_bytes()[:-n_bytes])
    return path


def sound(path: Path, samples: Array, rate_hz: int = 4000, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate_hz, subtype)
    return path


def with_bad(value: float) -> Array:
    samples = noise(12_000).astype(np.float32)
    samples[5000:5002] = value
    return samples


def text(path: Path) -> Path:
    path.write_text("this is no sound\n" * 400)
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def unfinished(path: Path, frames: int = 9001) -> Path:
    """A FLAC whose writer was killed: the number of samples in its head is 0, which means unknown."""
    data = bytearray(sound(path, noise(frames), subtype="PCM_16").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return path


def looping(path: Path) -> Path:
    path.symlink_to(path)
    return path


MAKE: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "missing": ("a.wav", lambda p: p, "no such file; check"),
    "nowhere": ("no/where/a.wav", lambda p: p, "no such file; check"),
    "name too long": ("a" * 300 + ".wav", lambda p: p, "can't be read: .*; check its name"),
    "link to itself": ("a.wav", looping, "no such file|can't be read"),
    "folder": ("a.wav", folder, "is a folder; give"),
    "empty": ("a.wav", empty, "is empty; record or copy"),
    "text as wav": ("a.wav", text, "no sound file.*; give WAV"),
    "text as flac": ("a.flac", text, "no sound file.*; give WAV"),
    "text as mp3": ("a.mp3", text, "no sound file.*; give WAV"),
    "text as au": ("a.au", text, "no sound file.*; give WAV"),
    "text as raw": ("a.raw", text, "no sound file.*; give WAV"),
    "text as gsm": ("a.gsm", text, "no sound file.*; give WAV"),
    "text": ("a.txt", text, "no sound file.*; give WAV"),
    "wav cut short": ("a.wav", lambda p: truncated(wav(p), 0.6), "cut short.*; copy"),
    "wav cut by one sample": ("a.wav", lambda p: cut_by(wav(p), 2), "cut short: 16042 of 16044 bytes.*; copy"),
    "wav cut in its header": ("a.wav", lambda p: truncated(wav(p), 0.001), "no sound file.*; give|cut short.*; copy"),
    "aiff cut short": ("a.aiff", lambda p: truncated(sound(p, noise()), 0.6), "cut short.*; copy"),
    "flac cut short": ("a.flac", lambda p: truncated(sound(p, noise(20_000)), 0.6), "damaged or cut short.*; copy"),
    "unfinished flac": ("a.flac", lambda p: truncated(unfinished(p), 0.1), "holds no audio; record"),
    "no frames": ("a.wav", lambda p: sound(p, noise(0)), "holds no audio; record"),
    "NaN": ("a.wav", lambda p: sound(p, with_bad(np.nan), subtype="FLOAT"), r"NaN or infinity at 1\.250 s; export"),
    "infinity": ("a.wav", lambda p: sound(p, with_bad(-np.inf), subtype="FLOAT"), r"infinity at 1\.250 s; export"),
    "1 kHz": ("a.wav", lambda p: wav(p, rate_hz=1000), "sample rate of 1000 Hz, heard are 2000 to 192000 Hz; convert"),
    "384 kHz": ("a.wav", lambda p: wav(p, rate_hz=384_000), "sample rate of 384000 Hz.*; convert"),
    "stereo": ("a.wav", lambda p: sound(p, noise(channels=2)), "2 channels; choose one with --channel 1 to 2"),
}


@pytest.mark.parametrize("kind", MAKE)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    name, make, wanted = MAKE[kind]
    path = make(tmp_path / name)
    with pytest.raises(InputFileError, match=wanted) as refused:
        read(FileSource(path))
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.parametrize("channel", [0, -1, 2, 99])
def test_a_channel_that_is_not_there(tmp_path: Path, channel: int) -> None:
    with pytest.raises(InputFileError, match=rf"a\.wav: has no channel {channel}; it has 1, numbered from 1"):
        FileSource(wav(tmp_path / "a.wav"), channel)


def test_what_comes_before_the_damage_is_heard(tmp_path: Path) -> None:
    source = FileSource(sound(tmp_path / "a.wav", with_bad(np.nan), subtype="FLOAT"), block_samples=1000)
    blocks = source.blocks()
    heard = [next(blocks).samples for _ in range(5)]
    assert np.array_equal(np.concatenate(heard), with_bad(0)[:5000])
    with pytest.raises(InputFileError):
        next(blocks)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_is_heard(tmp_path: Path, size: int) -> None:
    path = wav(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", size)
    path.write_bytes(data)
    assert len(read(FileSource(path))) == 8000


@pytest.mark.parametrize("block", [None, 1, 777, 4096, 10**6])
@pytest.mark.parametrize(("n_bytes", "kept"), [(0, 9001), (1, 8192), (3000, 4096)])
def test_a_flac_without_length_is_heard_to_its_last_whole_frame(
    tmp_path: Path, block: int | None, n_bytes: int, kept: int
) -> None:
    wanted = soundfile.read(sound(tmp_path / "whole.flac", noise(), subtype="PCM_16"), dtype="float32")[0]
    path = unfinished(tmp_path / "a.flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size - n_bytes])
    source = FileSource(path, block_samples=block)
    assert source.description["frames"] is None
    assert np.array_equal(read(source), wanted[:kept])
    assert source.duration_s == kept / 4000


def test_a_wav_whose_head_holds_the_length_of_the_whole_file_is_heard(tmp_path: Path) -> None:
    """Eight bytes more than belong there, as some programs write it."""
    path = wav(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    assert struct.unpack("<I", data[4:8]) == (len(data) - 8,)
    data[4:8] = struct.pack("<I", len(data))
    path.write_bytes(data)
    assert len(read(FileSource(path))) == 8000
    path.write_bytes(data[:-2])  # the same one cut by a sample
    with pytest.raises(InputFileError, match="cut short"):
        FileSource(path)


@pytest.mark.parametrize("change", [b"\x00", b"\xff"])
def test_damaged_headers_never_raise_anything_else(tmp_path: Path, change: bytes) -> None:
    for suffix in ("wav", "flac", "ogg", "aiff"):
        whole = sound(tmp_path / f"whole.{suffix}", noise(4000)).read_bytes()
        for at in range(64):
            path = tmp_path / f"a.{suffix}"
            path.write_bytes(whole[:at] + change + whole[at + 1 :])
            try:
                found = read(FileSource(path))
            except InputFileError as error:
                assert "; " in str(error)  # noqa: PT017 - either outcome is right
            else:
                assert len(found) > 0


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, found = wav(tmp_path / "a.wav"), os.stat

    def refuse(name: Path, **options: bool) -> os.stat_result:
        if name == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return found(name, **options)

    monkeypatch.setattr(os, "stat", refuse)  # the superuser, who may run this, is refused nothing
    with pytest.raises(InputFileError, match=r"a\.wav: can't be read: Permission denied; check"):
        FileSource(path)


@contextlib.contextmanager
def files_left(count: int) -> Iterator[None]:
    """This process may open so many more files."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        assert len(taken) > count
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_are_no_fault_of_the_file(tmp_path: Path) -> None:
    """However few are left: opening it takes one, and silencing its decoder meanwhile two."""
    path = wav(tmp_path / "a.wav")
    refused = []
    for left in range(4):
        with files_left(left):
            try:
                FileSource(path).close()
            except InputFileError as error:
                refused.append((left, str(error)))
    said = f"{path}: can't be opened: too many files are open at once; hear fewer, or allow more (`ulimit -n`)"
    assert refused == [(0, said), (2, said)]


@pytest.mark.parametrize("left", [0, 1])
def test_a_file_that_is_open_is_heard_though_no_other_can_be_opened(left: int, tmp_path: Path) -> None:
    source = FileSource(wav(tmp_path / "a.wav"))
    with files_left(left):
        blocks = list(source.blocks())
    assert sum(len(block.samples) for block in blocks) == 8000


# Folders


def test_folders_are_walked_sorted_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in (
        "b.wav",
        "a.WAV",
        "sub/c.flac",
        "sub/deep/d.ogg",
        "notes.txt",
        ".e.wav",
        ".hidden/f.wav",
        "sub/._g.wav",
    ):
        path = tmp_path / ".cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / ".cache" / "folder.wav").mkdir()
    # A hidden folder that is asked for by name is walked all the same.
    found = [p.relative_to(tmp_path / ".cache").as_posix() for p in audio_files(tmp_path / ".cache")]
    assert found == ["a.WAV", "b.wav", "sub/c.flac", "sub/deep/d.ogg"]


def test_links_are_followed_and_each_folder_walked_once(tmp_path: Path) -> None:
    for name in ("in/b/x.wav", "far/y.wav", "far/deep/z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = {"in/a": "b", "in/c": "../far", "in/b/up": "..", "far/back": "../in", "in/d.wav": "../far/y.wav"}
    links |= {"in/gone.wav": "no", "in/gone": "no", "in/.gone.wav": "no", "in/b/self": "self"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    os.mkfifo(tmp_path / "in/pipe.wav")
    found = [p.relative_to(tmp_path / "in").as_posix() for p in audio_files(tmp_path / "in")]
    assert found == ["b/self", "b/x.wav", "c/deep/z.wav", "c/y.wav", "d.wav", "gone", "gone.wav"]
