"""The protocol `timing` from folders to figures, on small made data; what people read of it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data

import laennec
from models.errors import SettingError
from models.nets import BeatNet
from models.rhythm import Beat
from train import beats as beat_learning
from train import signal_report, table, timing, timings
from train.config import Config, load
from train.datasets import read
from train.filterbank import front_end

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
    )


@pytest.fixture(scope="module")
def held(made: Path, settings: Config) -> timing.Data:
    return read_all(made, settings)


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
    made: Path, tmp_path: Path, main: Main, monkeypatch: pytest.MonkeyPatch
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
def asked(held: timing.Data, settings: Config, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
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


def test_the_network_of_all_hearts_is_asked_about_the_other_device_alone(
    asked: list[dict[str, Any]], held: timing.Data
) -> None:
    own = [i for i, t in enumerate(held.timed.recordings) if t.source == "pascal_a"]
    assert asked[5]["asked"] == [held.timed.features(i).tobytes() for i in own]


def test_right_and_wrong_answers_score_so(held: timing.Data, settings: Config) -> None:
    def answers(beats: Callable[[timings.Timed], list[Beat]]) -> dict[int, timing.Found]:
        return {i: timing.Found(beats(t), [], []) for i, t in enumerate(held.timed.recordings)}

    def truth(timed: timings.Timed) -> list[Beat]:
        return sorted(Beat(float(t), sound, 0.9) for sound in ("S1", "S2") for t in timed.onsets(sound))

    result = timing._score(settings, held, answers(truth), np.zeros(7))
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
    result = timing.evaluate(settings, held, tmp_path / "w", 1, lambda: None)
    assert "pascal_a" not in result
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


def test_noises_are_the_clips_of_everyday_noise_alone(made: Path) -> None:
    everything = [r for kind in ("pascal", "circor", "noise") for r in read(kind, made / kind)]
    assert any(r.label == "artifact" and r.source == "pascal_a" for r in everything)
    assert {r.source for r in timing.noises_of(everything)} == {"noise"}
    assert len(timing.noises_of(everything)) == 7


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


def test_every_table_of_the_report_has_as_many_cells_in_each_row() -> None:
    tables = [block.splitlines() for block in signal_report.timing(made_result()).split("\n\n") if block[0] == "|"]
    assert len(tables) == 4
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) == {"|", "-"}


def test_a_report_without_set_a_leaves_it_out() -> None:
    result = made_result()
    del result["pascal_a"]
    assert "another device" not in signal_report.timing(result)
