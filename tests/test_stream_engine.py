"""Streams stepped together: each is told to the bit what it is told alone, whatever is beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_bundle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import bundle as bundles
from models import join, regularity
from models.bundle import Bundle
from models.decide import Decision
from models.join import Joined
from models.quality import Loudness
from models.regularity import Premature, Regularity
from models.rhythm import Beat
from models.windows import WindowSpec
from stream import engine, together
from stream.block import Block, Samples
from stream.engine import Work
from stream.pipeline import Event, Gap, Pipeline
from stream.stretch import Judged, Moment

Array = np.ndarray
RATES_HZ = (2000, 4000, 8000, 11025, 44_100)
NOTHING = np.zeros(0, dtype=np.float32)


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundles.load()


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small model that finds the beats of `tiny_bundle.thumps`, so that early ones count."""
    path = tmp_path_factory.mktemp("model") / "hearing.onnx"
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.hearing()))
    return bundles.load(path)


@pytest.fixture(scope="module")
def timbre(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of cepstra that neither finds beats nor judges intervals."""
    size = {"features": 13, "channels": 8, "hidden": 8}
    plain = {"noise_share": 0.0, "floor_share": 0.0}
    cepstra = {"front_end": {"cepstra": 13, "lifter": 22}, "augment": plain, "beat_augment": plain}
    trained = tiny_bundle.untrained(tiny_bundle.tiny_config(net=size, beat_net=size, **cepstra))
    trained = trained._replace(beat_net=None, answer=trained.answer._replace(machine=None))
    path = tmp_path_factory.mktemp("model") / "timbre.onnx"
    path.write_bytes(tiny_bundle.data_of(trained))
    return bundles.load(path)


@pytest.fixture(scope="module", params=["shipped", "hearing", "timbre"])
def model(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


@dataclass(frozen=True)
class Stream:
    """Audio, its losses (so many samples before the sample at an index), and when it is heard.

    Attributes:
        begins: rounds that the others are ahead.
        seed: of the sizes of its blocks.
    """

    samples: Samples
    rate_hz: int
    losses: dict[int, int]
    begins: int = 0
    seed: int = 0

    def cuts(self) -> Iterator[int]:
        """Places between blocks of one sample to many seconds, all magnitudes as often."""
        rng, at = np.random.default_rng(self.seed), 0
        while at < len(self.samples):
            yield at
            at += int(np.exp(rng.uniform(0, np.log(12 * self.rate_hz))))

    def blocks(self, cuts: Sequence[int]) -> Iterator[Block]:
        """The stream, cut; a place that is named twice makes an empty block."""
        left, start = dict(self.losses), 0
        for a, b in pairwise(sorted([0, *cuts, *self.losses, len(self.samples), len(self.samples)])):
            lost = left.pop(a, 0)
            start += lost
            yield Block(self.samples[a:b], start, self.rate_hz, lost, "ring overrun" if lost else "")
            start += b - a


KINDS = ("heart", "uneven", "noise", "silence", "constant", "loud", "huge", "tiny", "clipped")


def sound(kind: str, seconds: float, rate_hz: int, seed: int) -> Samples:
    """Some seconds of what a microphone may give, or a broken one."""
    rng, n = np.random.default_rng(seed), round(seconds * rate_hz)
    noise = rng.normal(0, 0.1, n)
    if kind == "noise":
        return noise.astype(np.float32)
    if kind in ("silence", "constant"):
        return np.full(n, 0.3 * (kind == "constant"), dtype=np.float32)
    onsets = tiny_bundle.skipping(seconds, 4) if kind == "uneven" else np.arange(0.2, seconds, rng.uniform(0.5, 1.1))
    heart = tiny_bundle.thumps(n / rate_hz, onsets, rate_hz, seed)
    gain = {"loud": 1e6, "huge": 1e11, "tiny": 1e-30, "clipped": 30}.get(kind, 1.0)
    heard = (gain * heart).astype(np.float32)
    return np.clip(heard, -1, 1) if kind == "clipped" else heard


@st.composite
def streams(draw: st.DrawFn, most_s: float = 7.0) -> Stream:
    rate_hz, seed = draw(st.sampled_from(RATES_HZ)), draw(st.integers(0, 999))
    seconds = draw(st.floats(0, most_s))
    samples = sound(draw(st.sampled_from(KINDS)), seconds, rate_hz, seed)
    n = len(samples)
    for at, length in draw(st.lists(st.tuples(st.integers(0, n), st.integers(1, 3000)), max_size=2)):
        samples[at : at + length] = draw(st.sampled_from([np.nan, np.inf, -3e38]))
    losses = draw(st.dictionaries(st.integers(0, n), st.integers(1, 9000), max_size=2))
    return Stream(samples, rate_hz, losses, draw(st.integers(0, 12)), seed)


def alone(bundle: Bundle, stream: Stream) -> list[Event]:
    """The events of a stream by itself, in blocks as large as its losses leave them."""
    pipeline = Pipeline(bundle, stream.rate_hz)
    return [e for block in stream.blocks([]) for e in pipeline.process(block)] + pipeline.flush()


def all_together(bundle: Bundle, streams: Sequence[Stream]) -> list[list[Event]]:
    """The events of each of some streams that are heard in rounds, each from its own on and to its own."""
    pipelines = [Pipeline(bundle, stream.rate_hz) for stream in streams]
    waiting = [list(stream.blocks(list(stream.cuts()))) for stream in streams]
    events: list[list[Event]] = [[] for _ in streams]
    begins = [stream.begins for stream in streams]
    for now in range(max(map(sum, zip(begins, map(len, waiting), strict=True)), default=0)):
        heard = [k for k in range(len(streams)) if begins[k] <= now < begins[k] + len(waiting[k])]
        told = together.process([pipelines[k] for k in heard], [waiting[k][now - begins[k]] for k in heard])
        over = [k for k in heard if now + 1 == begins[k] + len(waiting[k])]
        rest = together.flush([pipelines[k] for k in over])
        for k, found in [*zip(heard, told, strict=True), *zip(over, rest, strict=True)]:
            events[k] += found
    return events


@settings(max_examples=10, deadline=None, derandomize=True)
@given(heard=st.lists(streams(5.5), min_size=1, max_size=40))
def test_streams_together_are_told_what_each_is_told_alone(model: Bundle, heard: list[Stream]) -> None:
    for stream, found in zip(heard, all_together(model, heard), strict=True):
        assert found == alone(model, stream)


def test_so_do_more_than_are_heard_in_one_call(model: Bundle) -> None:
    """More streams than the engine puts in one call of the networks, all of them due in the same round."""
    heard = [Stream(sound(KINDS[k % 7], 3 + 0.02 * k, 2000, k), 2000, {}) for k in range(70)]
    pipelines = [Pipeline(model, 2000) for _ in heard]
    told = together.process(pipelines, [Block(each.samples, 0, 2000) for each in heard])
    found = [one + rest for one, rest in zip(told, together.flush(pipelines), strict=True)]
    assert found == [alone(model, each) for each in heard]
    assert min(sum(isinstance(e, Decision) for e in each) for each in found) >= 5


def test_what_is_compared_says_something(hearing: Bundle) -> None:
    """The streams of these tests hold all kinds of events, and no two of them the same."""
    told = [alone(hearing, Stream(sound(kind, 13, 4000, 3), 4000, {20: 7})) for kind in KINDS]
    decisions = [[e for e in each if isinstance(e, Decision)] for each in told]
    assert all(isinstance(each[0], Gap) for each in told)
    assert sum(isinstance(e, Beat) for e in told[0]) > 10
    assert any(d.regularity and d.regularity.premature for d in decisions[1])
    sounds = [k for k, kind in enumerate(KINDS) if kind not in ("silence", "constant", "tiny")]
    assert len({str([d.logits for d in decisions[k]]) for k in sounds}) == len(sounds)
    assert {d.status for each in decisions for d in each} >= {"gap", "ok", "poor_signal"}


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Stream]:
    """Recordings of people, as they are."""
    circor, pascal = sorted((shared_data / "circor" / "audio").glob("*.flac")), shared_data / "pascal"
    paths = [circor[7], circor[40], *sorted((pascal / "set_a").glob("*.wav"))[3:5], next((pascal / "set_b").iterdir())]
    found = []
    for k, path in enumerate(paths):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        found.append(Stream(np.ascontiguousarray(samples[: 12 * rate_hz, 0]), rate_hz, {}, begins=k))
    return found


@settings(max_examples=4, deadline=None, derandomize=True)
@given(others=st.lists(streams(4.5), max_size=12), seed=st.integers(0, 99))
def test_real_recordings_are_told_the_same_beside_others(
    model: Bundle, real: list[Stream], others: list[Stream], seed: int
) -> None:
    losses = {int(x): 50 for x in np.random.default_rng(seed).integers(0, 20_000, seed % 3)}
    heard = [replace(each, seed=seed, losses=losses) for each in real]
    mixed = [*others[::2], *heard, *others[1::2]]
    for stream, found in zip(mixed, all_together(model, mixed), strict=True):
        assert found == alone(model, stream)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(heard=st.lists(streams(4.5), min_size=2, max_size=12), data=st.data())
def test_the_order_of_streams_does_not_matter(hearing: Bundle, heard: list[Stream], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(heard))))
    first, again = all_together(hearing, heard), all_together(hearing, [heard[k] for k in order])
    assert again == [first[k] for k in order]


@pytest.mark.parametrize("neighbour", KINDS)
def test_an_extreme_neighbour_changes_nothing(model: Bundle, neighbour: str) -> None:
    """Neither in front nor behind, whether it is due at the same time or not."""
    stream = Stream(sound("uneven", 8, 4000, 1), 4000, {9000: 3}, seed=5)
    beside = Stream(sound(neighbour, 8, 4000, 2), 4000, {}, seed=6)
    wanted = alone(model, stream)
    for others in ([beside], [beside, beside, replace(beside, begins=3)]):
        assert all_together(model, [stream, *others])[0] == wanted
        assert all_together(model, [*others, stream])[-1] == wanted


def test_a_stream_that_is_none_and_no_streams_at_all(hearing: Bundle) -> None:
    assert together.process([], []) == together.flush([]) == []
    assert engine.advance(hearing, [Work(Pipeline(hearing, 2000)._stretch, np.zeros((0, 100)))]) == [[]]
    assert all_together(hearing, [Stream(NOTHING, 4000, {}), Stream(NOTHING, 2000, {0: 9})]) == [
        [],
        [Gap(0.0, 9, "ring overrun")],
    ]
    with pytest.raises(ValueError, match="shorter"):
        together.process([Pipeline(hearing, 2000)], [])


def test_a_block_with_many_losses_beside_blocks_with_none(hearing: Bundle) -> None:
    """The one asks the engine several times in a round, the others once: nobody gets another's answer."""
    torn = sound("heart", 12, 2000, 1)
    torn[2500::5000] = np.nan
    heard = [Stream(x, 2000, {}) for x in (torn, sound("uneven", 12, 2000, 2), torn[::-1].copy(), torn[:6000])]
    pipelines = [Pipeline(hearing, 2000) for _ in heard]
    told = together.process(pipelines, [Block(each.samples, 0, 2000) for each in heard])
    for pipeline, stream, found, rest in zip(pipelines, heard, told, together.flush(pipelines), strict=True):
        assert found + rest == alone(hearing, stream)
        ledger = pipeline.ledger
        assert ledger.captured == len(stream.samples) == ledger.analysed + ledger.dropped + ledger.discarded


@pytest.mark.parametrize("cut_s", [6.02, 8.5])
def test_a_decision_does_not_know_beats_that_are_here_but_not_told_yet(hearing: Bundle, cut_s: float) -> None:
    """In one block all beats are found before the first decision is made; each decision knows those told before it."""
    samples = sound("uneven", 16, 2000, 4)
    whole = alone(hearing, Stream(samples, 2000, {}))
    part = Pipeline(hearing, 2000).process(Block(samples[: round(2000 * cut_s)], 0, 2000))
    assert whole[: len(part)] == part
    beats: list[Beat] = []
    known = 0
    for event in whole:
        if isinstance(event, Beat):
            beats.append(event)
        elif isinstance(event, Decision) and event.regularity and event.status != "poor_signal":
            # Up to where beats can be known: as `Rhythm.known_s` says of the frames heard by then.
            assert hearing.rhythm is not None
            frames = round((event.t_s - 0.05) / 0.02) + 1
            ended = event is whole[-1]
            found = regularity.assess(beats, hearing.rhythm.known_s(frames, ended))
            if event.label != "artifact" and event.regularity != regularity.UNKNOWN:
                assert event.regularity == found
                known += found.heart_rate_bpm is not None
    assert known > 5


# Moments


def said(judged: Judged) -> tuple[Any, ...]:
    """Of a moment, to the bit."""
    return judged.heard.logits.tobytes(), float(judged.heard.early), judged.quality


def moments(bundle: Bundle, count: int, seed: int, lengths: Sequence[int]) -> list[Moment]:
    """Moments of some lengths each: of heart sounds, noise, silence, sounds a million times as loud."""
    rng, spec = np.random.default_rng(seed), bundle.front_end.spec
    found = []
    for k in range(count):
        frames = int(rng.choice(lengths))
        kind = KINDS[int(rng.integers(len(KINDS)))]
        seconds = spec.span_samples(max(frames, bundle.envelope_frames)) / spec.rate_hz
        features = bundle.front_end.extract(sound(kind, seconds, spec.rate_hz, seed + k))
        heard_frames = min(len(features), frames + int(rng.choice([0, 50, 500])))
        heard = features[-heard_frames:]
        envelopes = bundle.envelopes(heard)[max(0, heard_frames - bundle.envelope_frames) :]
        early = tuple(Premature(float(t), 0.4) for t in range(rng.integers(0, 5)))
        beats = Regularity(70.0, 0.8, 0.1, 0.6, early) if rng.random() < 0.8 else None
        loudness = Loudness(*rng.choice([0.0, 1e-5, 0.05, 0.9], 2).tolist(), float(rng.choice([0.0, 0.1, 1.0])))
        window = heard[-min(frames, 198) :]
        found.append(Moment(frames, "ok", window, envelopes, loudness, beats))
    return found


@settings(max_examples=8, deadline=None, derandomize=True)
@given(count=st.integers(1, 70), seed=st.integers(0, 999), lengths=st.sets(st.integers(8, 198), min_size=1, max_size=4))
@example(count=70, seed=0, lengths={198})
@example(count=33, seed=1, lengths={8, 198})
def test_moments_judged_together_are_each_judged_as_alone(
    model: Bundle, count: int, seed: int, lengths: set[int]
) -> None:
    given = moments(model, count, seed, sorted(lengths))
    together = engine.judge(model, given)
    assert [said(each) for each in together] == [said(engine.judge(model, [each])[0]) for each in given]
    order = np.random.default_rng(seed).permutation(count)
    again = engine.judge(model, [given[k] for k in order])
    assert [said(each) for each in again] == [said(together[k]) for k in order]


def two(bundle: Bundle) -> list[Moment]:
    found = []
    for kind, clipped, early in (("heart", 0.0, 0), ("uneven", 0.1, 3)):
        features = bundle.front_end.extract(sound(kind, 12, 2000, 1))
        beats = Regularity(70.0, 0.8, 0.1, 0.6, tuple(Premature(float(t), 0.4) for t in range(early)))
        loudness = Loudness(0.1, 0.5, clipped)
        found.append(Moment(590, "ok", features[-198:], bundle.envelopes(features)[-500:], loudness, beats))
    return found


def test_a_moment_is_judged_by_its_window_its_envelopes_its_loudness_and_its_early_beats(shipped: Bundle) -> None:
    """None of them is left out, or taken from the moment beside it."""
    one, other = two(shipped)
    plain = said(engine.judge(shipped, [one])[0])
    for part in ("window", "envelopes", "loudness", "regularity"):
        changed = one._replace(**{part: getattr(other, part)})
        assert said(engine.judge(shipped, [changed, one])[0]) != plain
        assert said(engine.judge(shipped, [changed, one])[1]) == plain
    assert engine.judge(shipped, []) == []


@given(count=st.integers(1, 70), seed=st.integers(0, 2**31), scale=st.sampled_from([0.1, 3.0, 1e3, 1e6]))
def test_probabilities_of_many_moments_are_those_of_each(count: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits, early = scale * rng.normal(size=(count, 5)), np.where(rng.random(count) < 0.5, join.NEVER, 1.5)
    together = join.probabilities(Joined(logits, early).told)
    for k in range(count):
        assert np.array_equal(join.probabilities(Joined(logits[k], early[k]).told), together[k])


def test_long_windows_are_heard_together_within_the_graphs_memory(shipped: Bundle) -> None:
    """What a model was tried with when it was loaded is enough for any number of streams."""
    patient = replace(shipped, window=WindowSpec(window_frames=2_500, hop_frames=2_452))
    audio = sound("heart", 60, 4000, 1).astype(np.float32)
    alone = Pipeline(patient, 4000).process(Block(audio, 0, 4000))
    pipelines = [Pipeline(patient, 4000) for _ in range(32)]
    assert together.process(pipelines, [Block(audio, 0, 4000)] * 32) == [alone] * 32
    assert max(decision.window_s for decision in alone if isinstance(decision, Decision)) > 49
