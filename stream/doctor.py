"""What works on this machine: each finding with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models import bundle as bundles
from models.errors import LaennecError
from stream import golden, wedged
from stream.monitor.layout import MIN_HEIGHT, MIN_WIDTH
from stream.sources import portaudio
from stream.sources.devices import DeviceInfo

_ALSA = Path("/dev/snd")  # where Linux keeps its sound cards
_PACKAGES = ("numpy", "onnxruntime", "rich", "sounddevice", "soundfile", "soxr")


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: of what was looked at.
        state: "ok"; "notice" where Laennec works, but not all of it; "fails".
        detail: what was found.
        remedy: what to do, empty where nothing is to be done.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""


def examine(model: Path) -> list[Finding]:
    """Look at everything; nothing is changed."""
    return [_versions(), *_model(model), *_audio(), *_permissions(), _terminal(), _disk()]


def exit_code(findings: list[Finding]) -> int:
    """As every command's: 0, 5 where the model fails, 4 where an audio device does."""
    failing = {f.name for f in findings if f.state == "fails"}
    return 5 if failing & {"model", "golden vectors"} else 4 if failing else 0


def text(findings: list[Finding]) -> str:
    """A line each, its remedy under it."""
    return "\n".join(
        f"{f.state:<7} {f.name:<15} {f.detail}" + (f"\n{'':24}-> {f.remedy}" if f.remedy else "") for f in findings
    )


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON values."""
    return [asdict(f) for f in findings]


def _versions() -> Finding:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return Finding("versions", "ok", f"Python {platform.python_version()} on {platform.system()}; {packages}")


def _model(path: Path) -> list[Finding]:
    def load() -> Finding:
        bundle = bundles.load(path)
        return Finding("model", "ok", f"{bundle.id}, sha256 {bundle.sha256[:12]}, verified")

    def vectors() -> Finding:
        decisions, worst = golden.replay(bundles.load(path))
        return Finding("golden vectors", "ok", f"{decisions} decisions as exported, probabilities within {worst:.1g}")

    return [_try("model", "fails", load), _try("golden vectors", "fails", vectors)]


def _audio() -> list[Finding]:
    def listing() -> Finding:
        devices, can_open = wedged.bounded(_look)
        if not devices:
            nothing = "PortAudio works, but there is no input device"
            if sys.platform == "linux" and not _ALSA.exists():
                nothing += ", and the kernel sees no sound card"
            return Finding("audio input", "notice", nothing, "connect one")
        if not can_open:
            what = f"{len(devices)} input device(s), and none can be opened"
            return Finding("audio input", "notice", what, "close other programs that use them, start the sound server")
        default = next((d.name for d in devices if d.is_default), "none")
        return Finding("audio input", "ok", f"{len(devices)} input device(s), default: {default}")

    return [_try("audio input", "notice", listing)]


def _look() -> tuple[list[DeviceInfo], bool]:
    devices = portaudio.list_devices()
    return devices, any(portaudio.rates_of(device) for device in devices)


def _permissions(folder: Path = _ALSA) -> list[Finding]:
    """Whether Linux lets this user record; nothing where it shows no input of a sound card (or is not Linux)."""
    inputs = sorted(folder.glob("pcm*c"))
    closed = [node for node in inputs if not os.access(node, os.R_OK | os.W_OK)]
    if not closed:
        return [Finding("permissions", "ok", f"this user may open {len(inputs)} sound card input(s)")] if inputs else []
    try:
        group = closed[0].group()
    except KeyError:  # in a container, the group may have no name
        group = "audio"
    detail = f"this user may not open {', '.join(map(str, closed))} (a sound server may still give access)"
    remedy = f"join the group with `sudo usermod -aG {group} $USER` and log in again"
    return [Finding("permissions", "notice", detail, remedy)]


def _try(name: str, state: str, look: Callable[[], Finding]) -> Finding:
    """A finding, or what was refused: our messages name cause and remedy."""
    try:
        return look()
    except LaennecError as error:
        text = str(error)
        detail, _, remedy = text.rpartition("; " if "; " in text else ": ")
        return Finding(name, state, detail, remedy)


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding("terminal", "ok", "standard output is no terminal: plain lines instead of the screen")
    width, height = shutil.get_terminal_size()
    detail = f"{width}x{height}, {sys.stdout.encoding}"
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Finding("terminal", "notice", detail, f"make it {MIN_WIDTH}x{MIN_HEIGHT} or larger, or use --plain")
    return Finding("terminal", "ok", detail)


def _disk() -> Finding:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            pass
    except OSError:
        return Finding("disk", "notice", f"{Path.cwd()} can't be written", "log and record to another folder")
    state, remedy = ("ok", "") if free_gb > 1 else ("notice", "free some space before a long recording")
    return Finding("disk", state, f"{free_gb:.1f} GB free here", remedy)
