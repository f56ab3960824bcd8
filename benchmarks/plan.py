"""What is measured, how long, and by which process."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.rounds import Work


class Plan(NamedTuple):
    """How much of everything.

    Attributes:
        quick: only to see that all of it works.
        audio_s: seconds of audio that all contenders hear, over and over.
        rounds: paired rounds of Laennec and its peers.
        round_s: CPU seconds of a contender's round, about.
        streams: numbers of streams that are stepped together.
        classifier_streams: the same for the classifier's path alone.
        streams_rounds: paired rounds over those numbers.
        memory_streams: numbers of streams whose memory is looked at.
        memory_s: seconds that each of them hears.
        decisions: whose latency is measured.
        profile_streams: stepped together while stages are timed, and profiled; stages also with one stream alone.
        stage_rounds: rounds of ten seconds.
        profile_blocks: of half a second, profiled.
        runs: starts of the program.
        archive_s: seconds of recordings to classify, about.
        archive_rounds: how often.
        live_s: seconds of listening live; 0 leaves it out.
    """

    quick: bool
    audio_s: float
    rounds: int
    round_s: float
    streams: tuple[int, ...]
    classifier_streams: tuple[int, ...]
    streams_rounds: int
    memory_streams: tuple[int, ...]
    memory_s: float
    decisions: int
    profile_streams: int
    stage_rounds: int
    profile_blocks: int
    runs: int
    archive_s: float
    archive_rounds: int
    live_s: float


#: Streams a core are judged by as many streams at least, and the growth of cost between two numbers of them.
ALL_STAGES_STREAMS, CLASSIFIER_STREAMS = 1024, 2048
GROWTH = (64, 4096)
TOGETHER = 64

FULL = Plan(
    quick=False,
    audio_s=40.0,
    rounds=15,
    round_s=0.4,
    streams=(1, 2, 8, 32, 64, 256, 1024, 4096),
    classifier_streams=(1, 64, CLASSIFIER_STREAMS),
    streams_rounds=7,
    memory_streams=(1, 1024),
    memory_s=30.0,
    decisions=2000,
    profile_streams=64,
    stage_rounds=20,
    profile_blocks=20,
    runs=7,
    archive_s=10_000.0,
    archive_rounds=3,
    live_s=20.0,
)
QUICK = Plan(
    quick=True,
    audio_s=12.0,
    rounds=2,
    round_s=0.01,
    streams=(1, 4),
    classifier_streams=(1, 4),
    streams_rounds=2,
    memory_streams=(1, 4),
    memory_s=2.0,
    decisions=20,
    profile_streams=4,
    stage_rounds=2,
    profile_blocks=2,
    runs=1,
    archive_s=80.0,
    archive_rounds=1,
    live_s=0.0,
)

SINGLE = "Laennec, one stream"
JOINT = f"Laennec, {TOGETHER} streams together"
SILERO, NOTEBOOK = "silero-vad, ONNX", "librosa and torch, librosa's frames"

#: Who takes turns. Laennec is fed as it is live; a peer as its makers do it.
CONTENDERS = (
    Work(SINGLE, "ours.streams", {"joint": False}),
    Work(JOINT, "ours.streams", {"streams": TOGETHER}),
    Work(SILERO, "peers.silero"),
    Work(f"silero-vad, ONNX, {TOGETHER} streams in a batch", "peers.silero", {"streams": TOGETHER}),
    Work("sherpa-onnx with silero-vad", "peers.sherpa"),
    Work("pymicro-wakeword", "peers.microwakeword"),
    Work("BirdNET 2.4", "peers.birdnet"),
    Work(NOTEBOOK, "peers.notebook"),
    Work("librosa and torch, Laennec's frames", "peers.notebook", {"own_frames": True}),
    Work("python_speech_features and ONNX Runtime", "peers.speech_features"),
)
OURS = (SINGLE, JOINT)
