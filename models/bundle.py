"""Read, verify and describe a model bundle: one ONNX file whose metadata says everything else.

The file's own graph classifies windows. The graph that finds S1 and S2 lies in the metadata, since an ONNX file has
one graph. Needs neither torch nor the onnx package. A bundle that does not verify is refused in one clear line.
"""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import codec, intervals, join
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import ModelError
from models.extrasystole import Machine
from models.frontend import FrontEnd, FrontEndSpec, Matrices
from models.join import JoinSpec
from models.quality import QualitySpec
from models.rhythm import SOUNDS, Rhythm, RhythmSpec
from models.windows import WindowSpec

Array = np.ndarray

METADATA_KEY = "laennec"
#: Metadata key of the graph that finds S1 and S2, in base64.
RHYTHM_KEY = "laennec-rhythm"
SCHEMA = 3
INPUTS = ("features", "frames")
OUTPUT = "logits"
RHYTHM_INPUTS = ("features", "state")
RHYTHM_OUTPUTS = ("onsets", "next_state")
#: The bundle that is used where no other is named.
SHIPPED = Path(__file__).parent / "bundles" / "laennec.onnx"
_MOST_BYTES = 32 * 2**20
#: Minutes of audio; more is no window but a damaged number that would take all memory.
_MOST_FRAMES = 20_000
_MOST_STATE = 1_000_000


@dataclass(frozen=True)
class Bundle:
    """A verified model, ready to run.

    Attributes:
        path: the file.
        sha256: of the file's bytes.
        meta: the metadata as read; figures, training data, licence and intended use are there.
        front_end: features of audio at its spec's rate.
        window: when decisions fall due.
        join: calibration, and weights of what the rhythm says.
        decide: thresholds.
        quality: weights of the signal quality index.
        rhythm: finds S1 and S2; None in a model that was trained without annotated beats.
        extrasystole: judges the spacing of the sounds; None in a model that was trained without extrasystoles.
        session: ONNX Runtime; inputs features (batch, time, features) float32 and frames (batch,) int64.
    """

    path: Path
    sha256: str
    meta: dict[str, Any]
    front_end: FrontEnd
    window: WindowSpec
    join: JoinSpec
    decide: DecideSpec
    quality: QualitySpec
    rhythm: Rhythm | None
    extrasystole: Machine | None
    session: Any

    @property
    def id(self) -> str:
        """Name and version of the model."""
        return str(self.meta["id"])

    @property
    def recent_frames(self) -> int:
        """Frames that `hear` wants to be given, where there are as many."""
        memory = self.extrasystole.spec.memory_frames if self.extrasystole else 0
        return max(self.window.window_frames, memory)

    def hear(self, recent: Array, premature: int) -> Array:
        """Calibrated logits (5,) float64 of the window that ends now.

        Args:
            recent: (n, features), the newest `recent_frames` frames, or all where there are fewer.
            premature: beats that came early in the last seconds.
        """
        window = recent[-self.window.window_frames :]
        score = np.zeros(())
        if self.extrasystole:
            spec = self.front_end.spec
            told = intervals.describe(self.extrasystole.spec, spec.hop_s, self.front_end.log_energies(recent))
            score = self.extrasystole.scores(told)
        logits = self.logits(window[None], np.array([len(window)]))[0]
        return join.with_early_beats(self.join, join.join(self.join, logits, score), np.asarray(premature))

    def logits(self, features: Array, frames: Array) -> Array:
        """The network's logits (batch, 5) float64 of windows, not calibrated.

        Args:
            features: (batch, time, features), zero-padded at the end.
            frames: (batch,) valid frames of each.
        """
        feed = {"features": features.astype(np.float32), "frames": frames.astype(np.int64)}
        found: Array = self.session.run([OUTPUT], feed)[0]
        return found.astype(np.float64)


def load(path: Path = SHIPPED) -> Bundle:
    """Read and verify a bundle.

    Raises:
        ModelError: missing, damaged, foreign, of another schema, or inconsistent in itself.
    """
    data = _read(path)
    session = _session(path, data)
    meta = _metadata(path, session)
    try:
        spec: FrontEndSpec = codec.decode_spec(FrontEndSpec, meta["front_end"])
        front_end = FrontEnd(spec, Matrices(**{k: codec.decode_matrix(v) for k, v in meta["matrices"].items()}))
        window, decide = codec.decode_spec(WindowSpec, meta["window"]), codec.decode_spec(DecideSpec, meta["decide"])
        joined: JoinSpec = codec.decode_spec(JoinSpec, meta["join"])
        machine = codec.decode_machine(meta["extrasystole"], spec) if meta["extrasystole"] is not None else None
        quality: QualitySpec = codec.decode_spec(QualitySpec, meta["quality"])
        digest, _ = meta["front_end_digest"], meta["id"]
        rhythm = _rhythm(path, session, meta["rhythm"], spec)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: its description is incomplete or wrong ({error}); export it again") from error
    if front_end.digest != digest:
        raise ModelError(f"{path}: the front end does not match its digest; the file was altered, export it again")
    sha = hashlib.sha256(data).hexdigest()
    bundle = Bundle(path, sha, meta, front_end, window, joined, decide, quality, rhythm, machine, session)
    _verify_graph(bundle)
    return bundle


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(f"{path}: is a folder or device; give the .onnx file that `laennec export` wrote")
        if found.st_size > _MOST_BYTES:
            raise ModelError(f"{path}: too large for a Laennec model; give a file made by `laennec export`")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model; give the .onnx file that `laennec export` wrote") from error
    except OSError as error:
        raise ModelError(f"{path}: the model can't be read: {error.strerror}") from error


def _session(path: Path, data: bytes) -> Any:
    import onnxruntime  # here, so that `--help` need not wait for it

    options = onnxruntime.SessionOptions()
    # The defaults keep a thread spinning: half a core for an idle stream.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # our one line says it; ONNX Runtime would print its own beside it
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ModelError(f"{path}: is not a whole ONNX model; copy or export it again") from error


def _metadata(path: Path, session: Any) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{path}: is an ONNX model, but not one of Laennec's; use one made by `laennec export`")
    try:
        meta = json.loads(text)
        schema, classes = meta["schema"], tuple(meta["classes"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: its description can't be read ({error}); export it again") from error
    if schema != SCHEMA:
        raise ModelError(
            f"{path}: has schema {schema!r:.40}, this Laennec reads {SCHEMA}; export it again with this version"
        )
    if classes != CLASSES:
        raise ModelError(f"{path}: answers other classes than {', '.join(CLASSES)}; use a model of this version")
    return dict(meta)


def _rhythm(path: Path, session: Any, values: dict[str, Any] | None, front_end: FrontEndSpec) -> Rhythm | None:
    if values is None:
        return None
    spec: RhythmSpec = codec.decode_spec(RhythmSpec, values)
    graph = session.get_modelmeta().custom_metadata_map[RHYTHM_KEY]
    net = _BeatNet(_session(path, base64.b64decode(graph, validate=True)))
    features, state = (np.zeros(n, dtype=np.float32) for n in ((spec.block_frames, front_end.features), net.state_size))
    try:
        onsets, following = net(features, state)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ValueError("the rhythm's graph does not run") from error
    fits = onsets.shape == (spec.block_frames, len(SOUNDS)) and following.shape == state.shape
    if not fits or not np.isfinite(onsets).all() or not np.isfinite(following).all():
        raise ValueError("the rhythm's graph does not fit its description")
    return Rhythm(spec, front_end, net)


class _BeatNet:
    """The graph that finds S1 and S2, as `models.rhythm.Net` wants it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.state_size = int(session.get_inputs()[1].shape[1])
        if not 0 < self.state_size <= _MOST_STATE:
            raise ValueError("the rhythm's graph has no usable state")

    def __call__(self, features: Array, state: Array) -> tuple[Array, Array]:
        onsets, following = self._session.run(RHYTHM_OUTPUTS, {"features": features[None], "state": state[None]})
        return onsets[0], following[0]


def _verify_graph(bundle: Bundle) -> None:
    """Trial runs: the graph takes what the front end makes, of any length, and answers with finite logits."""
    names = tuple(i.name for i in bundle.session.get_inputs())
    shortest, longest = bundle.window.least_frames, bundle.window.window_frames
    if names != INPUTS or longest > _MOST_FRAMES:
        raise ModelError(f"{bundle.path}: its graph does not fit its description; export it again")
    for batch, frames in ((1, longest), (2, shortest)):
        windows = np.zeros((batch, frames, bundle.front_end.spec.features))
        try:
            found = bundle.logits(windows, np.full(batch, frames))
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{bundle.path}: can't run on its own front end's features; export it again") from error
        if found.shape != (batch, len(CLASSES)) or not np.isfinite(found).all():
            raise ModelError(f"{bundle.path}: its graph does not fit its description; export it again")
