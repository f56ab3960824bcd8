"""What should not be known: a network that knows the device is told apart from one that doesn't, changes are clean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from train import leakage, scores
from train.datasets import Recording
from train.scores import ratio
from train.table import Features, Table

Array = np.ndarray


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """No interval is tested here, and they take longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_RESAMPLES", 50)
        yield


def made(count: int = 120) -> list[Recording]:
    """Normal and murmur of both sets, two a group; and others, which only one of the sets has."""
    labels = ("normal", "murmur", "normal", "normal", "artifact", "extrasystole")
    return [
        Recording(
            Path(f"{k}.wav"),
            f"{k}.wav",
            labels[k % 6],
            "pascal_a" if k // 6 % 3 == 0 else "pascal_b",
            f"g{k // 2}",
            (True,) * 5,
        )
        for k in range(count)
    ]


OTHERS = [
    Recording(Path("c.wav"), "c.wav", "normal", "circor", "c", (True,) * 5),
    Recording(Path("n.wav"), "n.wav", "artifact", "noise", "n", (True,) * 5),
    Recording(Path("f.wav"), "f.wav", "murmur", "folder", "f", (True,) * 5),
]


def of_a(recordings: list[Recording]) -> Array:
    return np.array([r.source == "pascal_a" for r in recordings])


def known_by(networks: int, recordings: list[Recording], share: float, seed: int = 0) -> list[Array]:
    """(n, 24) that each of some networks knows: noise, and in a direction of its own the device."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(networks):
        direction = rng.normal(0, 1, 24)
        found.append(rng.normal(0, 1, (len(recordings), 24)) + share * np.outer(of_a(recordings), direction))
    return found


def auroc(recordings: list[Recording], share: float) -> float:
    """Five folds, each with a network of its own that learned from the others."""
    odds = np.zeros(len(recordings))
    for k, known in enumerate(known_by(5, recordings, share)):
        tested = np.array([i for i, r in enumerate(recordings) if int(r.group[1:]) % 5 == k])
        learned = leakage.comparable(recordings, np.setdiff1d(np.arange(len(recordings)), tested))
        odds[tested] = leakage.device_odds([recordings[i] for i in learned], known[learned], known[tested])
    value = leakage.device(recordings, odds[None])["value"]
    assert value is not None
    return value


def test_a_device_that_the_networks_know_is_found_out() -> None:
    """Though each network keeps it in a direction of its own."""
    assert auroc(made(300), 2.0) > 0.97


def test_a_device_that_the_networks_do_not_know_is_guessed() -> None:
    assert 0.35 < auroc(made(600), 0.0) < 0.65


def test_the_more_a_network_knows_the_better_the_device_is_told() -> None:
    areas = [auroc(made(300), share) for share in (0.0, 0.3, 1.0)]
    assert areas == sorted(areas)


def test_only_what_both_sets_have_the_like_of_counts() -> None:
    recordings = [*made(24), *OTHERS]
    found = leakage.comparable(recordings, np.arange(27))
    assert found.tolist() == [k for k in range(24) if k % 6 < 4]
    assert leakage.comparable(recordings, np.array([4, 5, 25])).dtype == np.int64
    odds = np.where([*(r.label in {"normal", "murmur"} for r in recordings)], of_a(recordings) * 1.0, 9.0)
    odds[4::6] = -9.0 * of_a(recordings)[4::6]
    assert leakage.device(recordings, odds[None])["value"] == 1


@pytest.mark.parametrize("source", ["pascal_a", "pascal_b", None])
def test_of_one_set_alone_nothing_can_be_told(source: str | None) -> None:
    recordings = [r for r in made() if r.source == source]
    known = np.random.default_rng(0).normal(0, 1, (len(recordings), 4))
    assert leakage.device_odds(recordings, known, np.ones((3, 4))).tolist() == [0, 0, 0]


def test_runs_are_averaged() -> None:
    recordings = made(24)
    right = of_a(recordings) * 1.0
    assert leakage.device(recordings, np.stack([right, -right]))["value"] == 0.5


# --- changes


@pytest.fixture(scope="module")
def table() -> Table:
    """Recordings of all lengths and levels; of one there is nothing."""
    rng, lengths = np.random.default_rng(0), [30, 45, 60, 75, 0, 90]
    parts = [rng.normal(-10 + k, 1, (n, 8)).astype(np.float32) for k, n in enumerate(lengths)]
    return Table.of(Features(tuple(made(6)), np.concatenate(parts), np.cumsum([0, *lengths])))


def levels(table: Table) -> list[float]:
    return [float(np.median(table.features(i))) if table.frames(i) else 0.0 for i in range(len(table))]


def test_recordings_get_the_length_or_the_level_of_another_and_nothing_else_changes(table: Table) -> None:
    indices = np.array([5, 0, 2, 3])
    found = leakage.changes(table, indices, seed=0)
    assert list(found) == ["as it is", "length of another", "level of another"]
    own = [table.features(i) for i in indices]
    for changed in found.values():
        assert changed.recordings == tuple(table.recordings[i] for i in indices)
        assert changed.values.dtype == np.float32
    plain, cut, moved = found.values()
    given = []
    for k, x in enumerate(own):
        assert np.array_equal(plain.features(k), x)
        assert np.array_equal(cut.features(k), x[: cut.frames(k)])
        shift = moved.features(k) - x
        assert moved.frames(k) == len(x)
        np.testing.assert_allclose(shift, shift[0, 0], atol=1e-4)
        given.append(float(np.median(moved.features(k))))
    np.testing.assert_allclose(sorted(given), sorted(levels(plain)), atol=1e-4)
    assert not np.allclose(given, levels(plain))
    assert any(cut.frames(k) < len(x) for k, x in enumerate(own))


def test_every_length_is_given_to_one(table: Table) -> None:
    """No recording can be made longer; over some seeds each gets each length that it is long enough for."""
    got: set[tuple[int, int]] = set()
    for seed in range(60):
        cut = leakage.changes(table, np.array([0, 1, 2]), seed)["length of another"]
        got |= {(k, cut.frames(k)) for k in range(3)}
    assert got == {(0, 30), (1, 30), (1, 45), (2, 30), (2, 45), (2, 60)}


def test_a_recording_of_nothing_stays_one(table: Table) -> None:
    for changed in leakage.changes(table, np.array([4, 1]), seed=0).values():
        assert changed.frames(0) == 0


def test_a_seed_repeats(table: Table) -> None:
    one, again = (leakage.changes(table, np.arange(6), seed=3) for _ in range(2))
    assert all(np.array_equal(one[name].values, again[name].values) for name in one)


def test_what_changes_cost_by_hand() -> None:
    recordings = made(4)
    truth = np.array([0, 1, 0, 0])
    answers = np.array([[0, 1, 1, 0], [0, 0, 1, 0]])  # 3 of 4 right, 2 of 4
    then = np.array([[0, 0, 0, 0], [1, 0, 1, 1]])  # 3 of 4, none
    found = leakage.describe(recordings, truth, answers, {"level of another": then})
    groups = [r.group for r in recordings]
    assert found["as it is"] == {"accuracy": ratio(np.array([1, 0.5, 0, 1]), np.ones(4), groups)}
    assert found["as it is"]["accuracy"]["value"] == 0.625
    row = found["level of another"]
    assert row["accuracy"]["value"] == 0.375
    assert row["difference"]["value"] == -0.25
    assert row["answers_changed"]["value"] == 0.5
    assert row["difference"]["low"] < -0.25 < row["difference"]["high"]
