"""Read, verify and describe a model bundle: one ONNX file whose metadata says everything else.

The file's own graph classifies windows. The graph that finds S1 and S2 lies in the metadata, since an ONNX file has
one graph. Needs neither torch nor the onnx package. A bundle that does not verify is refused in one clear line.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import codec, graph, intervals, join
from models.beat_graph import BeatGraph
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import ModelError, in_words
from models.extrasystole import Machine
from models.frontend import FrontEnd, FrontEndSpec, Matrices
from models.join import Joined, JoinSpec
from models.quality import QualitySpec
from models.rhythm import Rhythm, RhythmSpec
from models.windows import WindowSpec

Array = np.ndarray

METADATA_KEY = "laennec"
#: Metadata key of the graph that finds S1 and S2, in base64.
RHYTHM_KEY = "laennec-rhythm"
SCHEMA = 5
INPUTS = ("features",)
OUTPUT = "logits"
#: The bundle that is used where no other is named.
SHIPPED = Path(__file__).parent / "bundles" / "laennec.onnx"
#: Ten times the shipped one. Numbers and JSON take up to thirty times their bytes once they are read.
_MOST_BYTES = 8 * 2**20
#: Minutes of audio; more is no window but a damaged number that would take all memory.
_MOST_FRAMES = 20_000
#: Of all windows in one call, which is tried with as many: 32 of the usual length. More get no cheaper.
FRAMES_TOGETHER = 6_400
_MOST_ID = 100
#: Of a logit: sums and softmaxes of such numbers are still exact enough.
_LARGEST = 1e6


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
        session: ONNX Runtime; input features (batch, time, features) float32, windows of one length.
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

    def envelopes(self, features: Array) -> Array:
        """(frames, bands) envelopes, which `spacing` wants, of features (frames, features), each by itself."""
        if not self.extrasystole:
            return np.zeros((len(features), 0))
        return intervals.envelopes(self.extrasystole.spec, self.front_end.log_energies(features))

    @property
    def envelope_frames(self) -> int:
        """Newest frames of the envelopes that `spacing` wants, where there are as many."""
        return self.extrasystole.spec.memory_frames if self.extrasystole else 0

    def spacing(self, envelopes: Array) -> Array:
        """How much the sounds of moments are spaced as an extrasystole's: a score (n,), 0 where the model can't tell.

        Args:
            envelopes: (n, m, bands), the newest `envelope_frames` of each, or all where there are fewer.
        """
        if not self.extrasystole:
            return np.zeros(len(envelopes))
        spec = self.extrasystole.spec
        with np.errstate(over="ignore", invalid="ignore"):  # of a damaged file's numbers; `joined` looks
            return self.extrasystole.scores(intervals.describe_all(spec, self.front_end.spec.hop_s, envelopes))

    def joined(self, logits: Array, score: Array, premature: Array) -> Joined:
        """What is said of moments.

        Args:
            logits: (n, 5) from `logits`.
            score: (n,) from `spacing`.
            premature: (n,) beats that came early in the last seconds.

        Returns:
            Logits (n, 5) and early (n,).

        Raises:
            ModelError: its numbers can't be used.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            heard = join.join(self.join, logits, score, premature)
        if not max(np.abs(heard.logits).max(initial=0), np.abs(heard.early).max(initial=0)) < _LARGEST:
            raise ModelError(f"{self.path}: what it makes of this sound is no usable number; export it again")
        return heard

    def logits(self, windows: Array, options: Any = None) -> Array:
        """The network's logits (n, 5) float64 of windows, not calibrated.

        Args:
            windows: (n, frames, features), n >= 1.
            options: from `graph.limited`, if the time is.

        Raises:
            ModelError: the graph fails, or answers something else.
        """
        feed = {"features": windows.astype(np.float32, copy=False)}
        wanted = {OUTPUT: (len(windows), len(CLASSES))}
        return graph.run(f"{self.path}: its graph", self.session, feed, wanted, options)[0].astype(np.float64)


def load(path: Path = SHIPPED) -> Bundle:
    """Read and verify a bundle.

    Raises:
        ModelError: missing, damaged, foreign, of another schema, or inconsistent in itself.
    """
    data = _read(path)
    session = graph.open_session(path, data)
    meta = _metadata(path, session)
    try:
        spec: FrontEndSpec = codec.decode_spec(FrontEndSpec, meta["front_end"])
        front_end = FrontEnd(spec, Matrices(**{k: codec.decode_matrix(v) for k, v in meta["matrices"].items()}))
        window, decide = codec.decode_spec(WindowSpec, meta["window"]), codec.decode_spec(DecideSpec, meta["decide"])
        joined: JoinSpec = codec.decode_spec(JoinSpec, meta["join"])
        machine = codec.decode_machine(meta["extrasystole"], spec) if meta["extrasystole"] is not None else None
        quality: QualitySpec = codec.decode_spec(QualitySpec, meta["quality"])
        digest = meta["front_end_digest"]
        _check_id(meta["id"])
        rhythm = _rhythm(path, session, meta["rhythm"], spec)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: its description is incomplete or wrong ({in_words(error)}); export it again"
        ) from error
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


def _metadata(path: Path, session: Any) -> dict[str, Any]:
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path}: is an ONNX model, but not one of Laennec's; use one made by `laennec export`")
        meta = json.loads(text)
        schema, classes = meta["schema"], tuple(meta["classes"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: its description can't be read ({in_words(error)}); export it again") from error
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
    data = codec.decode_bytes(session.get_modelmeta().custom_metadata_map[RHYTHM_KEY])
    net = BeatGraph(path, graph.open_session(path, data))
    net.try_out(spec.block_frames, front_end.features)
    return Rhythm(spec, front_end, net)


def _verify_graph(bundle: Bundle) -> None:
    """Trial runs: the graph takes what the front end makes, of any length, and answers with finite logits."""
    names = tuple(i.name for i in bundle.session.get_inputs())
    shortest, longest = bundle.window.least_frames, bundle.window.window_frames
    if names != INPUTS or longest > _MOST_FRAMES:
        raise ModelError(f"{bundle.path}: its graph does not fit its description; export it again")
    for batch, frames in ((1, longest), (max(1, FRAMES_TOGETHER // longest), longest), (2, shortest)):
        windows = np.zeros((batch, frames, bundle.front_end.spec.features), dtype=np.float32)
        with graph.limited() as options:
            bundle.logits(windows, options)


def _check_id(name: Any) -> None:
    """It is shown everywhere, so it must not move the cursor or fill the screen."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _MOST_ID:
        raise ValueError(f"id can't be {name!r:.40}")
