"""S1 and S2 of a stream: the same however it is cut, told in time and for good, at exact times however late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import bundle as bundles
from models.frontend import FrontEndSpec
from models.nets import BeatNet, BeatNetSpec
from models.rhythm import Beat, Rhythm, RhythmSpec, RhythmState
from train.beats import TorchNet
from train.filterbank import front_end

Array = np.ndarray
FRONT = FrontEndSpec()
HOP_S = FRONT.hop_samples / FRONT.rate_hz
SPEC = RhythmSpec()
#: Logit of an onset that is all but sure, and of none at all.
SURE, NONE = 3.0, -6.0


class Prompter:
    """Answers with the first two features of each frame, as late as the network: what the frames are told is known.

    It stands for a perfect network, and carries a state as one does.
    """

    def __init__(self, lookahead_frames: int) -> None:
        self.state_size = 2 * lookahead_frames

    def __call__(self, features: Array, state: Array) -> tuple[Array, Array]:
        # Zeros are the state at the start of a stretch; a logit of 0 would be an onset.
        streams, frames, _ = features.shape
        said = np.concatenate([state.reshape(streams, -1, 2), features[:, :, :2] - NONE], axis=1)
        return said[:, :frames] + np.float32(NONE), said[:, frames:].reshape(streams, -1)


def prompted(spec: RhythmSpec = SPEC) -> Rhythm:
    return Rhythm(spec, FRONT, Prompter(spec.lookahead_frames))


def script(frames: int, *onsets: tuple[int, int, float]) -> Array:
    """Features (frames, 32) that tell `Prompter` a logit for a sound (0 or 1) at a frame."""
    features = np.full((frames, FRONT.features), NONE)
    for frame, sound, logit in onsets:
        features[frame, sound] = logit
    return features


def middle_s(frame: float) -> float:
    return (frame * FRONT.hop_samples + FRONT.frame_samples / 2) / FRONT.rate_hz


def whole(rhythm: Rhythm, features: Array) -> list[Beat]:
    beats, state = rhythm.step(features, rhythm.init_state())
    return beats + rhythm.flush(state)


def cut(features: Array, places: Sequence[int]) -> list[Array]:
    return np.split(features, sorted(min(place, len(features)) for place in places))


def in_parts(rhythm: Rhythm, parts: Sequence[Array]) -> tuple[list[Beat], RhythmState]:
    beats, state = [], rhythm.init_state()
    for part in parts:
        told, state = rhythm.step(part, state)
        beats += told
    return beats, state


# --- what a beat is


@pytest.mark.parametrize("sound", [0, 1])
@pytest.mark.parametrize("frame", [0, 1, 14, 15, 16, 47, 98])
def test_an_onset_becomes_a_beat_at_the_middle_of_its_frame(frame: int, sound: int) -> None:
    (beat,) = whole(prompted(), script(100, (frame, sound, SURE)))
    assert beat.sound == ("S1", "S2")[sound]
    assert beat.t_s == pytest.approx(middle_s(frame), abs=1e-9)
    assert beat.confidence == pytest.approx(1 / (1 + np.exp(-SURE)))


@pytest.mark.parametrize("part", [-0.45, -0.2, 0.0, 0.3, 0.49])
def test_an_onset_between_frames_is_placed_between_them(part: float) -> None:
    """Three logits on a parabola: its top is found, not the highest frame."""
    top = 40 + part
    features = script(90, *((k, 0, SURE - 0.8 * (k - top) ** 2) for k in (39, 40, 41)))
    (beat,) = whole(prompted(), features)
    assert beat.t_s == pytest.approx(middle_s(top), abs=1e-6)


@pytest.mark.parametrize("sounds", [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("apart", range(1, 8))
def test_of_onsets_close_together_only_the_likeliest_is_a_beat(apart: int, sounds: tuple[int, int]) -> None:
    features = script(90, (40, sounds[0], SURE), (40 + apart, sounds[1], SURE + 1))
    places = [round((b.t_s - middle_s(0)) / HOP_S) for b in whole(prompted(), features)]
    assert places == ([40 + apart] if apart <= SPEC.near_frames else [40, 40 + apart])


def test_a_weaker_neighbour_of_a_weaker_neighbour_is_no_beat() -> None:
    """Whatever is near exceeds it, though that is no beat either."""
    features = script(90, (40, 0, SURE), (43, 0, SURE - 1), (46, 0, SURE - 2))
    assert [round((b.t_s - middle_s(0)) / HOP_S) for b in whole(prompted(), features)] == [40]


def test_of_equal_neighbours_the_first_is_the_beat() -> None:
    features = script(90, *((k, 0, SURE) for k in range(30, 60)))
    (beat,) = whole(prompted(), features)
    assert beat.t_s == pytest.approx(middle_s(30.5))  # half a frame in, as the next one is as likely


@pytest.mark.parametrize("threshold", [0.05, 0.25, 0.9])
def test_below_the_threshold_there_is_no_beat(threshold: float) -> None:
    least = float(np.log(threshold / (1 - threshold)))
    rhythm = prompted(RhythmSpec(threshold=threshold))
    below = script(120, *((k, k % 2, least - 1e-3) for k in range(5, 110, 9)))
    assert whole(rhythm, below) == []
    (beat,) = whole(rhythm, script(120, (50, 0, least + 1e-3)))
    assert beat.confidence == pytest.approx(threshold, abs=1e-3)


@pytest.mark.parametrize("frames", [0, 1, 5, 14, 15, 16, 31])
def test_no_frames_or_few_hold_no_beat_that_was_not_there(frames: int) -> None:
    assert whole(prompted(), script(frames)) == []


def test_nothing_heard_is_nothing_told() -> None:
    rhythm = prompted()
    beats, state = rhythm.step(script(0), rhythm.init_state())
    assert (beats, rhythm.flush(state), state.heard) == ([], [], 0)
    assert len(state.waiting) == len(state.last) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"block_frames": 0},
        {"block_frames": 1001},
        {"near_frames": 0},
        {"near_frames": 10**12},
        {"lookahead_frames": -1},
        {"lookahead_frames": 10**12},
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        RhythmSpec(**values)


# --- when it is told


@pytest.mark.parametrize("spec", [SPEC, RhythmSpec(1, 0, 1), RhythmSpec(7, 20, 5), RhythmSpec(40, 3, 2)])
def test_a_beat_is_told_within_the_stated_delay_and_not_before_it_is_known(spec: RhythmSpec) -> None:
    rhythm = prompted(spec)
    late = []
    for frame in range(60, 60 + 2 * spec.block_frames):
        state = rhythm.init_state()
        features = script(frame + 200, (frame, 0, SURE))
        for newest in range(len(features)):
            beats, state = rhythm.step(features[newest : newest + 1], state)
            if beats:
                late.append(newest - frame)
                break
    assert len(late) == 2 * spec.block_frames
    assert min(late) == spec.lookahead_frames + spec.near_frames
    assert max(late) == spec.delay_frames


def test_the_delay_in_seconds_is_that_of_its_frames_and_at_most_one() -> None:
    newest, own = SPEC.delay_frames, 0
    heard_s = ((newest - own) * FRONT.hop_samples + FRONT.frame_samples) / FRONT.rate_hz
    assert SPEC.delay_s(FRONT) == pytest.approx(heard_s)
    assert SPEC.delay_s(FRONT) <= 1.0


def test_up_to_where_beats_are_known_none_follows() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(-8, 3, (400, FRONT.features))
    features[:, :2] = rng.normal(-2, 3, (400, 2))
    rhythm = prompted()
    told: list[list[Beat]] = []
    known = []
    state = rhythm.init_state()
    for newest in range(len(features)):
        beats, state = rhythm.step(features[newest : newest + 1], state)
        told.append(beats)
        known.append(rhythm.known_s(newest + 1))
    told.append(rhythm.flush(state))
    assert known == sorted(known)
    assert sum(map(len, told)) > 20
    for place, known_s in enumerate(known):
        assert all(beat.t_s >= known_s for beats in told[place + 1 :] for beat in beats)
    assert known[-1] >= middle_s(len(features) - 1 - SPEC.delay_frames - 0.5)
    end_s = rhythm.known_s(len(features), ended=True)
    assert end_s == pytest.approx(middle_s(len(features)))
    assert all(beat.t_s < end_s for beats in told for beat in beats)


def test_flush_tells_what_waited_and_leaves_the_state_as_it_was() -> None:
    rhythm = prompted()
    features = script(50, (30, 0, SURE), (40, 1, SURE), (49, 0, SURE))
    told, state = rhythm.step(features, rhythm.init_state())
    assert told == []
    first, again = rhythm.flush(state), rhythm.flush(state)
    assert first == again
    assert [(b.sound, round((b.t_s - middle_s(0)) / HOP_S)) for b in first] == [("S1", 30), ("S2", 40), ("S1", 49)]


@pytest.mark.parametrize("frames", range(40, 56))
def test_flush_tells_even_an_onset_in_the_last_frame(frames: int) -> None:
    (beat,) = whole(prompted(), script(frames, (frames - 1, 0, SURE)))
    assert beat.t_s == pytest.approx(middle_s(frames - 1), abs=HOP_S)


class Clock:
    """Tells an onset every fifth frame, whatever it hears."""

    state_size = 1

    def __call__(self, features: Array, state: Array) -> tuple[Array, Array]:
        frames = features.shape[1]
        at = state + np.arange(frames)
        onsets = np.where((at - SPEC.lookahead_frames) % 5 == 0, SURE, NONE)
        return np.stack([onsets, np.full(onsets.shape, NONE)], axis=2).astype(np.float32), state + frames


@pytest.mark.parametrize("frames", [*range(7), *range(40, 60)])
def test_flush_tells_every_beat_up_to_the_end_and_none_beyond(frames: int) -> None:
    beats = whole(Rhythm(SPEC, FRONT, Clock()), script(frames))
    np.testing.assert_allclose([beat.t_s for beat in beats], [middle_s(k) for k in range(0, frames, 5)], atol=1e-6)


# --- properties, with real networks


def wild(seed: int = 0) -> BeatNet:
    """An untrained network whose answers vary enough for many beats."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = BeatNet(BeatNetSpec(channels=8, hidden=12)).eval()
    with torch.no_grad():
        net.last.weight.mul_(6)
        net.last.bias.add_(0.3)
    return net


@pytest.fixture(scope="module")
def rhythms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rhythm]:
    torch.set_num_threads(1)  # a network this small only waits for its helpers
    path = tmp_path_factory.mktemp("bundle") / "wild.onnx"
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.untrained(wild_config())._replace(beat_net=wild())))
    exported = bundles.load(path).rhythm
    assert exported is not None
    return {"onnx": exported, "torch": Rhythm(SPEC, FRONT, TorchNet(wild())), "prompted": prompted()}


def wild_config() -> Any:
    return tiny_bundle.tiny_config(beat_net={"channels": 8, "hidden": 12})


def noise(frames: int, seed: int) -> Array:
    """Features like a loud, restless sound's; the first two bands tell `Prompter` an onset now and then."""
    rng = np.random.default_rng(seed)
    features = rng.normal(-8, 3, (frames, FRONT.features))
    features[:, :2] = rng.normal(-3, 3, (frames, 2))
    return features


@pytest.mark.parametrize("which", ["onnx", "torch", "prompted"])
def test_the_networks_of_these_tests_hear_beats(rhythms: dict[str, Rhythm], which: str) -> None:
    beats = whole(rhythms[which], noise(300, 0))
    assert len(beats) > 10
    assert {beat.sound for beat in beats} == {"S1", "S2"}


chunks = st.lists(st.integers(0, 160), max_size=30)


@pytest.mark.parametrize("which", ["onnx", "torch", "prompted"])
def test_how_a_stream_is_cut_never_changes_a_beat(rhythms: dict[str, Rhythm], which: str) -> None:
    rhythm = rhythms[which]

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(frames=st.integers(0, 160), seed=st.integers(0, 2**31), places=chunks)
    def holds(frames: int, seed: int, places: list[int]) -> None:
        features = noise(frames, seed)
        wanted = whole(rhythm, features)
        assert all(middle_s(-0.5) <= beat.t_s < middle_s(frames) for beat in wanted)  # within what was heard
        for parts in (cut(features, places), cut(features, range(frames)), cut(features, range(7, frames, 15))):
            beats, state = in_parts(rhythm, parts)
            assert beats + rhythm.flush(state) == wanted  # to the bit: times and confidences too

    holds()


@pytest.mark.parametrize("which", ["onnx", "torch", "prompted"])
def test_beats_told_are_never_moved_or_taken_back(rhythms: dict[str, Rhythm], which: str) -> None:
    """Those told after any number of frames begin the list of all; and each is told in time."""
    rhythm = rhythms[which]

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(frames=st.integers(0, 160), heard=st.integers(0, 160), seed=st.integers(0, 2**31))
    def holds(frames: int, heard: int, seed: int) -> None:
        heard = min(heard, frames)
        features = noise(frames, seed)
        everything = whole(rhythm, features)
        told, _ = rhythm.step(features[:heard], rhythm.init_state())
        assert told == everything[: len(told)]
        assert [b.t_s for b in everything] == sorted(b.t_s for b in everything)
        in_time_s = middle_s(heard - 1 - SPEC.delay_frames - 0.5)
        assert all(beat.t_s > in_time_s for beat in everything[len(told) :])

    holds()


@pytest.mark.parametrize("which", ["onnx", "torch"])
@pytest.mark.parametrize("later", [1, 2**31 // FRONT.hop_samples + 1, 2**33])
def test_hours_into_a_stream_beats_are_the_same_at_exact_times(
    rhythms: dict[str, Rhythm], which: str, later: int
) -> None:
    rhythm = rhythms[which]
    before, after = noise(60, 1), noise(400, 2)
    _, state = rhythm.step(before, rhythm.init_state())
    late = state._replace(heard=state.heard + later)
    (early_beats, state), (late_beats, late) = rhythm.step(after, state), rhythm.step(after, late)
    early_beats, late_beats = early_beats + rhythm.flush(state), late_beats + rhythm.flush(late)
    assert late.heard - state.heard == later
    assert len(early_beats) > 10
    # Whole frames take an exact number of seconds here: 50 a second.
    shift_s = later * FRONT.hop_samples / FRONT.rate_hz
    for one, other in zip(early_beats, late_beats, strict=True):
        assert other.t_s - shift_s == pytest.approx(one.t_s, abs=1e-6)
        assert (other.sound, other.confidence) == (one.sound, one.confidence)
    blocks = SPEC.block_frames * later  # whole ones, so that as many frames wait for the network
    for ended in (False, True):
        known_s = rhythm.known_s(460 + blocks, ended) - SPEC.block_frames * shift_s
        assert known_s == pytest.approx(rhythm.known_s(460, ended), abs=1e-5)


def test_a_state_is_a_value_from_which_a_stream_can_be_heard_again(rhythms: dict[str, Rhythm]) -> None:
    rhythm = rhythms["onnx"]
    _, state = rhythm.step(noise(77, 3), rhythm.init_state())
    before = values(state)
    once, again = rhythm.step(noise(90, 4), state), rhythm.step(noise(90, 4), state)
    assert once[0] == again[0]
    assert values(once[1]) == values(again[1])
    assert values(state) == before


def values(state: RhythmState) -> list[object]:
    """What a state holds, to the bit."""
    return [part.tobytes() if isinstance(part, np.ndarray) else part for part in state]


def test_onnx_runtime_and_torch_hear_the_same_beats(rhythms: dict[str, Rhythm]) -> None:
    one, other = (whole(rhythms[which], noise(500, 5)) for which in ("onnx", "torch"))
    assert [beat.sound for beat in one] == [beat.sound for beat in other]
    np.testing.assert_allclose([b.t_s for b in one], [b.t_s for b in other], rtol=0, atol=1e-4)


def test_a_real_recording_gives_the_same_beats_however_it_is_cut(rhythms: dict[str, Rhythm], shared_data: Path) -> None:
    from train import audio

    path = sorted((shared_data / "circor" / "audio").glob("*.flac"))[7]
    features = front_end(FRONT).extract(audio.load(path, FRONT.rate_hz)[: 10 * FRONT.rate_hz])
    wanted = whole(rhythms["onnx"], features)
    assert len(wanted) > 10
    for size in (1, 4, 25):
        beats, state = in_parts(rhythms["onnx"], cut(features, range(size, len(features), size)))
        assert beats + rhythms["onnx"].flush(state) == wanted


# --- the network


def answers(net: BeatNet, features: Array, calls: Sequence[int] = ()) -> Array:
    """(frames, 5) of one stretch, given in several calls."""
    state, found = torch.zeros(1, net.spec.state), []
    with torch.no_grad():
        for part in (p for p in cut(features, calls) if len(p)):
            answer, state = net(torch.from_numpy(part.astype(np.float32))[None], state)
            found.append(answer[0].numpy())
    return np.concatenate(found)


def test_the_network_hears_no_future() -> None:
    net, features = wild(), noise(80, 6)
    later = features.copy()
    later[50:] += 5
    before, after = answers(net, features), answers(net, later)
    np.testing.assert_allclose(before[:50], after[:50], atol=1e-4)
    assert np.abs(before[50:] - after[50:]).max() > 0.1


@settings(max_examples=30, deadline=None, derandomize=True)
@given(places=st.lists(st.integers(0, 90), max_size=12), seed=st.integers(0, 2**31))
def test_calls_of_the_network_add_up(places: list[int], seed: int) -> None:
    features = noise(90, seed)
    np.testing.assert_allclose(answers(wild(), features, places), answers(wild(), features), atol=2e-3)


def test_how_loud_it_is_and_what_device_it_is_are_not_heard() -> None:
    net, features = wild(), noise(120, 7)
    response = np.linspace(-3, 5, FRONT.features)
    np.testing.assert_allclose(answers(net, features + response), answers(net, features), atol=2e-3)


@pytest.mark.parametrize("make", [lambda: noise(40, 1), lambda: np.full((40, 32), FRONT.floor)])
def test_each_stretch_of_a_batch_is_heard_alone(make: Callable[[], Array]) -> None:
    net = wild()
    both = np.stack([make(), noise(40, 2)]).astype(np.float32)
    with torch.no_grad():
        together, _ = net(torch.from_numpy(both), torch.zeros(2, net.spec.state))
    np.testing.assert_allclose(together[0].numpy(), answers(net, both[0]), atol=1e-4)


def test_the_default_network_is_small() -> None:
    count = sum(p.numel() for p in BeatNet(BeatNetSpec()).parameters())
    assert 10_000 < count < 100_000
