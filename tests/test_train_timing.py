"""The protocol `timing` from folders to figures, on small made data; extrasystole by timing; what people read of it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
from sklearn.ensemble import ExtraTreesClassifier

import laennec
from models.errors import SettingError
from models.frontend import FrontEndSpec
from models.nets import BeatNet
from models.rhythm import Beat
from train import beats as beat_learning
from train import extrasystole, signal_report, table, timing, timings
from train.config import Config, load
from train.datasets import read
from train.filterbank import front_end
from train.pascal import CONFLICTS

Array = np.ndarray
Main = Callable[..., tuple[int, str, str]]
METHODS = ("stream", "whole recording, duration model", "envelope peaks")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotated hearts of 10 persons, 4 s each; PASCAL's two sets; five and more clips of noise."""
    folder = tmp_path_factory.mktemp("made")
    tiny_data.pascal_timing(tiny_data.pascal(folder / "pascal"))
    tiny_data.circor(folder / "circor", patients=10, seconds=4, annotated=True)
    tiny_data.noise(folder / "noise", clips=7)
    tiny_data.config(folder, 4)
    return folder


@pytest.fixture(scope="module")
def settings(made: Path) -> Config:
    return load(made / "tiny.toml")


def read_all(folder: Path, config: Config, kinds: tuple[str, ...] = ("pascal", "circor", "noise")) -> timing.Data:
    front = front_end(config.front_end)
    recordings = [r for kind in kinds for r in read(kind, folder / kind)]
    timed = [t for kind in kinds for t in timings.read(kind, folder / kind)]
    return timing.Data(
        table.read(front, timed),
        table.read(front, timing.noises_of(recordings)),
        table.read(front, timing.clips_of(recordings)),
    )


@pytest.fixture(scope="module")
def held(made: Path, settings: Config) -> timing.Data:
    return read_all(made, settings)


@pytest.fixture(scope="module")
def small_forests() -> Iterator[None]:
    """Forests take longest here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extrasystole, "_SEEDS", 1)
        patch.setattr(extrasystole, "ExtraTreesClassifier", lambda _, **rest: ExtraTreesClassifier(40, **rest))
        yield


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """The command in this process: its exit code, what it said, and what it complained of."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["laennec", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            laennec.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


def words(made: Path, *kinds: str) -> list[str]:
    data = [word for kind in kinds for word in ("--data", f"{kind}={made / kind}")]
    return ["evaluate", "--protocol", "timing", *data, "--config", str(made / "tiny.toml")]


def assert_score(score: dict[str, float | None]) -> None:
    assert set(score) == {"value", "low", "high"}
    if score["value"] is not None:
        assert score["low"] is not None
        assert score["high"] is not None
        assert 0 <= score["low"] <= score["high"] <= 1
        assert 0 <= score["value"] <= 1


def test_the_command_writes_all_figures_and_prints_them(
    made: Path, tmp_path: Path, main: Main, small_forests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, out = ["--work", str(tmp_path / "w")], ["--json", str(tmp_path / "r.json")]
    code, said, err = main(*words(made, "pascal", "circor", "noise"), *work, *out)
    assert code == 0, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["protocol"], result["leaky"], result["data"]) == ("timing", "", ["circor", "noise", "pascal"])
    assert result["config"]["beat_fit"]["steps"] == 4
    assert 0 < result["delay_s"] <= 1
    assert (result["circor"]["stream"]["onsets"]["n"], result["circor"]["stream"]["onsets"]["groups"]) == (20, 10)
    assert result["pascal_a"]["stream"]["onsets"]["n"] == 4
    assert result["circor"]["stream"]["rate"]["n"] > 10
    assert result["pascal_a"]["stream"]["rate"]["n"] == 0  # two beats each
    for source, name in itertools.product(("circor", "pascal_a"), METHODS):
        onsets = result[source][name]["onsets"]
        for sound, tolerance in itertools.product(("S1", "S2"), ("60 ms", "100 ms")):
            for score in onsets[sound][tolerance].values():
                assert_score(score)
        for score in ("within_5_bpm", "abstained"):
            assert_score(result[source][name]["rate"][score])
    assert result["noise"]["n"] == 7
    assert result["noise"]["beats_per_minute"]["value"] >= 0
    assert result["extrasystole"]["extrasystoles"] == 6
    assert result["extrasystole"]["n"] == 18
    for score in result["extrasystole"]["auroc"].values():
        assert_score(score)
    assert {p.name for p in (tmp_path / "w").iterdir()} == {
        *(f"beats-fold{k}.safetensors" for k in range(5)),
        "beats-all.safetensors",
    }
    assert said.rstrip("\n") == signal_report.timing(result).rstrip("\n")
    # Finished networks are not trained again, and give the same figures.
    first = (tmp_path / "r.json").read_text()
    monkeypatch.setattr(beat_learning.BeatTask, "loss", lambda *_: pytest.fail("it learns again"))
    assert main(*words(made, "pascal", "circor", "noise"), *work, *out)[0] == 0
    assert (tmp_path / "r.json").read_text() == first


@pytest.fixture(scope="module")
def asked(
    held: timing.Data, settings: Config, small_forests: None, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What each network of the protocol learned from and was asked about."""
    seen: list[dict[str, Any]] = []
    known = beat_learning.fit

    def fit(config: Config, data: Any, indices: list[int], noises: list[Array], seed: int) -> Any:
        seen.append({"learned": indices, "noises": [n.tobytes() for n in noises], "asked": []})
        return known(config, data, indices, noises, seed)

    def found(_: Config, __: BeatNet, features: Array) -> list[Beat]:
        seen[-1]["asked"].append(features.tobytes())
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beat_learning, "fit", fit)
        patch.setattr(beat_learning, "beats", found)
        ticks: list[int] = []
        timing.evaluate(settings, held, tmp_path_factory.mktemp("asked"), 1, lambda: ticks.append(1))
    assert len(ticks) == len(seen) == 6
    return seen


def test_no_network_is_asked_about_a_person_or_a_noise_it_learned_from(
    asked: list[dict[str, Any]], held: timing.Data
) -> None:
    timed = held.timed.recordings
    heard = [held.timed.features(i).tobytes() for i in range(len(timed))]
    quiet = [held.noises.features(i).tobytes() for i in range(len(held.noises))]
    for one in asked:
        tested = {i for i, features in enumerate(heard) if features in one["asked"]}
        assert tested
        assert not {timed[i].group for i in tested} & {timed[i].group for i in one["learned"]}
        assert all(timed[i].source == "circor" for i in one["learned"])
        assert not set(one["noises"]) & set(one["asked"])
    folds, last = asked[:5], asked[5]
    everyone = [i for one in folds for i, features in enumerate(heard) if features in one["asked"]]
    assert sorted(everyone) == [i for i, t in enumerate(timed) if t.source == "circor"]
    assert sorted(n for one in folds for n in one["asked"] if n in quiet) == sorted(quiet)
    assert len(last["learned"]) == 20
    assert set(last["noises"]) == set(quiet)


def test_the_network_of_all_hearts_is_asked_about_the_other_device_and_the_clips(
    asked: list[dict[str, Any]], held: timing.Data
) -> None:
    own = [i for i, t in enumerate(held.timed.recordings) if t.source == "pascal_a"]
    wanted = [held.timed.features(i).tobytes() for i in own]
    wanted += [held.clips.features(i).tobytes() for i in range(len(held.clips))]
    assert asked[5]["asked"] == wanted


def test_right_and_wrong_answers_score_so(held: timing.Data, settings: Config, small_forests: None) -> None:
    def answers(beats: Callable[[timings.Timed], list[Beat]]) -> dict[int, timing.Found]:
        return {i: timing.Found(beats(t), [], []) for i, t in enumerate(held.timed.recordings)}

    def truth(timed: timings.Timed) -> list[Beat]:
        return sorted(Beat(float(t), sound, 0.9) for sound in ("S1", "S2") for t in timed.onsets(sound))

    clips = [[] for _ in range(len(held.clips))]  # type: ignore[var-annotated]
    result = timing._score(settings, held, answers(truth), np.zeros(7), clips)
    for source in ("circor", "pascal_a"):
        for sound in ("S1", "S2"):
            assert result[source]["stream"]["onsets"][sound]["60 ms"]["f1"]["value"] == 1
            assert result[source]["envelope peaks"]["onsets"][sound]["60 ms"]["recall"]["value"] == 0
    assert result["circor"]["stream"]["rate"]["within_5_bpm"]["value"] == 1
    assert result["circor"]["stream"]["rate"]["abstained"]["value"] == 0
    assert result["circor"]["envelope peaks"]["rate"]["abstained"]["value"] == 1
    assert result["noise"]["beats_per_minute"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_beats_in_noise_are_counted_by_the_minute(held: timing.Data, settings: Config) -> None:
    minutes = len(held.noises.values) * 0.02 / 60
    found = timing._per_minute(held.noises, np.array([1.0, 0, 2, 0, 0, 0, 1]), np.full(7, minutes / 7))
    assert found["value"] == pytest.approx(4 / minutes, rel=1e-3)
    assert found["low"] is not None
    assert found["high"] is not None
    assert found["low"] < 4 / minutes < found["high"]


# --- data that lacks something


def test_pascal_without_its_table_leaves_that_device_out(made: Path, settings: Config, tmp_path: Path) -> None:
    tiny_data.pascal(tmp_path / "pascal")
    for kind in ("circor", "noise"):
        (tmp_path / kind).symlink_to(made / kind)
    held = read_all(tmp_path, settings)
    held = held._replace(clips=table.read(front_end(settings.front_end), []))
    result = timing.evaluate(settings, held, tmp_path / "w", 1, lambda: None)
    assert "pascal_a" not in result
    assert "extrasystole" not in result
    text = signal_report.timing(result)
    assert "CirCor, by person" in text
    assert "another device" not in text.partition("CirCor, by person")[2]


@pytest.mark.parametrize(("persons", "clips"), [(4, 6), (6, 4), (0, 6), (6, 0)])
def test_too_few_persons_or_clips_of_noise_are_refused_in_a_line(
    settings: Config, tmp_path: Path, persons: int, clips: int
) -> None:
    if persons:
        tiny_data.circor(tmp_path / "circor", patients=persons, annotated=True)
    if clips:
        tiny_data.noise(tmp_path / "noise", clips)
    kinds = tuple(kind for kind in ("circor", "noise") if (tmp_path / kind).exists())
    with pytest.raises(SettingError, match="timing needs 5 annotated persons and 5 clips of noise") as refusal:
        timing.evaluate(settings, read_all(tmp_path, settings, kinds), tmp_path / "w", 1, lambda: None)
    assert "\n" not in str(refusal.value)


def test_clips_are_of_set_b_normal_and_extrasystole_without_those_of_two_labels(made: Path) -> None:
    found = timing.clips_of(read("pascal", made / "pascal"))
    assert {(r.source, r.label) for r in found} == {("pascal_b", "normal"), ("pascal_b", "extrasystole")}
    assert not {r.name for r in found} & CONFLICTS
    everything = [*read("noise", made / "noise"), *read("circor", made / "circor")]
    assert {r.source for r in timing.noises_of(everything)} == {"noise"}
    assert timing.clips_of(everything) == []


# --- extrasystole


def beats_of(cycles: list[float]) -> list[Beat]:
    onsets = np.cumsum([0.2, *cycles])
    both = [(t, "S1") for t in onsets] + [(t + 0.25, "S2") for t in onsets]
    return [Beat(float(t), sound, 0.9) for t, sound in sorted(both)]


def test_beats_are_described_by_their_regularity() -> None:
    steady = extrasystole.beat_features(beats_of([0.8] * 11), 10.0)
    np.testing.assert_allclose(steady, [0, 1, 0, 0.88], atol=1e-9)
    early = extrasystole.beat_features(beats_of([0.8] * 4 + [0.48, 1.12] + [0.8] * 5), 10.0)
    assert early[0] > 0.15
    np.testing.assert_allclose(early[1:3], [0.6, 1])
    np.testing.assert_allclose(extrasystole.beat_features([], 10.0), [0, 1, 0, 0])


def envelope(places: Array, frames: int = 400) -> Array:
    features = np.full((frames, 32), -8.0)
    for k in places:
        features[int(k) : int(k) + 3] += 5
    return features


def test_sounds_are_described_by_their_intervals_in_the_newest_ten_seconds() -> None:
    spec = FrontEndSpec()
    hop_s = spec.hop_samples / spec.rate_hz
    steady = extrasystole.sound_features(spec, envelope(np.arange(10, 390, 20)))
    assert steady.shape == (18,)
    np.testing.assert_allclose(steady.reshape(3, 6), [[1, 1, 1, 0, 20 * hop_s, 20 * hop_s]] * 3, atol=0.06)
    early = extrasystole.sound_features(spec, envelope(np.array([10, 50, 90, 110, 170, 210, 250, 290])))
    np.testing.assert_allclose(early.reshape(3, 6)[:, [0, 2]], [[0.5, 1.5]] * 3, atol=0.06)
    assert (early.reshape(3, 6)[:, 3] > 0.2).all()
    long = np.concatenate([envelope(np.array([5, 20, 30])), envelope(np.arange(10, 590, 20), 600)])
    newest = extrasystole.sound_features(spec, long[-round(10 / hop_s) :])
    assert np.array_equal(extrasystole.sound_features(spec, long), newest)
    for features in (envelope(np.array([10, 60])), np.full((200, 32), -8.0), np.full((1, 32), -8.0)):
        assert not extrasystole.sound_features(spec, features).any()


def test_the_area_is_one_where_features_tell_and_a_half_where_they_do_not(small_forests: None) -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(60) % 3 == 0
    groups = [str(k // 2) for k in range(60)]
    told = rng.normal(0, 0.1, (60, 3)) + positive[:, None]
    found = extrasystole.auroc(told, positive, groups)
    assert found["value"] == pytest.approx(1, abs=0.01)
    chance = extrasystole.auroc(rng.normal(0, 1, (60, 3)), positive, groups)
    assert chance["value"] is not None
    assert 0.25 < chance["value"] < 0.75
    # A group's answer comes from forests that saw nothing of it: what tells one patient alone tells nothing.
    of_patient = np.repeat(rng.normal(0, 1, (30, 1)), 2, axis=0)
    sick = np.repeat(rng.random(30) < 0.4, 2)
    own = extrasystole.auroc(of_patient, sick, groups)
    assert own["value"] is not None
    assert own["value"] < 0.8


# --- what people read


def score(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value, "high": value}


def figures(f1: float | None) -> dict[str, Any]:
    names = ("f1", "precision", "recall", "median_error_s")
    of_sound = {t: dict.fromkeys(names, score(f1)) for t in ("60 ms", "100 ms")}
    return {
        "onsets": {"n": 7, "groups": 3, **dict.fromkeys(("S1", "S2"), of_sound)},
        "rate": {
            "n": 5,
            "within_5_bpm": score(f1),
            "abstained": score(0.125),
            "early_found": score(0.0625),
            "early_annotated": score(f1),
        },
    }


def made_result() -> dict[str, Any]:
    return {
        "protocol": "timing",
        "says": "how it was tested",
        "delay_s": 0.634,
        "circor": {"stream": figures(0.5), "envelope peaks": figures(None)},
        "pascal_a": {"stream": figures(0.25)},
        "noise": {"n": 40, "beats_per_minute": {"value": 1.5, "low": 0.5, "high": 2.5}},
        "extrasystole": {"n": 60, "extrasystoles": 20, "auroc": {"both": score(0.75)}},
    }


def test_the_report_says_every_figure_with_its_interval() -> None:
    text = signal_report.timing(made_result())
    assert text.startswith("## timing\n\nhow it was tested.\n")
    assert "told 0.63 s after its onset at most" in text
    assert "### CirCor, by person: 7 recordings" in text
    assert "### PASCAL set A, another device: 7 recordings" in text
    half = "0.500 [0.500, 0.500]"
    assert f"| stream | {half} | {half} | {half} | {half} | 500.0 ms, 500.0 ms |" in text
    assert f"| stream | 0.500, 0.500 | 0.500, 0.500 | {half} | 0.125 [0.125, 0.125] | 5 |" in text
    assert "| envelope peaks | - | - | - | - | -, - |" in text
    assert "| envelope peaks | -, - | -, - | - | 0.125 [0.125, 0.125] | 5 |" in text
    assert "In 40 clips of everyday noise without a heart, 1.500 [0.500, 2.500] beats" in text
    assert "60 clips of which 20 extrasystoles" in text
    assert "- both: 0.750 [0.750, 0.750]" in text


def test_every_table_of_the_report_has_as_many_cells_in_each_row() -> None:
    tables = [block.splitlines() for block in signal_report.timing(made_result()).split("\n\n") if block[0] == "|"]
    assert len(tables) == 4
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) == {"|", "-"}


def test_a_report_without_set_a_and_extrasystole_leaves_them_out() -> None:
    result = made_result()
    del result["pascal_a"], result["extrasystole"]
    text = signal_report.timing(result)
    assert "another device" not in text
    assert "Extrasystole" not in text
