"""Configuration: what it does not know it refuses, naming the key; what it writes it reads back."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data

from models.errors import SettingError
from models.frontend import FrontEndSpec
from train.beat_config import BeatAugmentSpec
from train.config import AugmentSpec, Config, from_dict, load, recipes, to_dict
from train.filterbank import front_end

CEPSTRA = "[front_end]\ncepstra = 13\n[net]\nfeatures = 13\n[beat_net]\nfeatures = 13\n"


def from_toml(text: str) -> Config:
    return from_dict(tomllib.loads(text))


def test_nothing_given_is_the_defaults(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert load(None) == load(empty) == Config()


def test_values_land_where_they_are_named_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(
        "seed = 7\n[fit]\nsteps = 12\nmixup = 0\n[augment]\nnoise_snr_db = [0, 9.5]\n[sampling.shares]\ncircor = 1"
    )
    config = load(path)
    assert (config.seed, config.fit.steps, config.fit.batch) == (7, 12, Config().fit.batch)
    assert config.fit.mixup == 0.0
    assert isinstance(config.fit.mixup, float)
    assert config.augment.noise_snr_db == (0.0, 9.5)
    assert config.sampling.shares == {"circor": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        *("", tiny_data.TINY_TOML.format(steps=20)),
        "[augment]\nnoise_snr_db = [1, 2]\n[sampling.shares]\nnoise = 0.5",
        "[intervals]\nbands = [3, 4, 5]\nswings = [1, 2, 3, 4.5]\n[machine]\ncost = 2",
    ],
)
def test_dict_and_json_round_trips_are_exact(text: str) -> None:
    config = from_toml(text)
    assert from_dict(to_dict(config)) == config
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sede = 1", "sede"),
        ("[fits]\nsteps = 1", "fits"),
        ("[fit]\nstep = 1", "step"),
        ("[front_end]\nhz = 1", "hz"),
        ("[net]\nlayers = 2", "layers"),
        ("[window]\nframes = 2", "frames"),
        ("[answer]\nthreshold = 0.5", "threshold"),
        ("[beat_net]\nlayers = 2", "layers"),
        ("[beat_fit]\nmixup = 0.2", "mixup"),
        ("[beat_augment]\nband_mask = 1", "band_mask"),
        ("[rhythm]\nnear = 2", "near"),
        ("[answer]\nhold_out = 0.2", "hold_out"),
        ("[intervals]\nlags = 2", "lags"),
        ("[machine]\ngamma = 2", "gamma"),
        ("[augment]\nSTRETCH = 1.1", "STRETCH"),
        ("[sampling]\nshare = 1", "share"),
    ],
)
def test_an_unknown_key_is_refused_by_name(text: str, key: str) -> None:
    with pytest.raises(SettingError, match=f"unknown key '{key}'; known here: "):
        from_toml(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('seed = "1"', "seed"),
        ("seed = 1.0", "seed"),
        ("seed = true", "seed"),
        ("fit = 3", "fit"),
        ("[fit]\nsteps = 1.5", "steps"),
        ('[fit]\nlearning_rate = "fast"', "learning_rate"),
        ("[fit]\nlearning_rate = true", "learning_rate"),
        ("[fit]\nlearning_rate = nan", "learning_rate"),
        ("[fit]\nclip = inf", "clip"),
        ("[augment]\nnoise_snr_db = [1, 2, 3]", "noise_snr_db"),
        ('[augment]\nnoise_snr_db = [1, "2"]', "noise_snr_db"),
        ("[augment]\nnoise_snr_db = 3", "noise_snr_db"),
        ("[sampling]\nshares = 3", "shares"),
        ('[sampling.shares]\nnoise = "much"', "noise"),
        ("[front_end]\nresampler = 1", "resampler"),
        ("[window]\nhop_frames = [1]", "hop_frames"),
        ("[beat_fit]\nsteps = 1.5", "steps"),
        ("[beat_augment]\nnoise_snr_db = [1]", "noise_snr_db"),
        ('[rhythm]\nthreshold = "low"', "threshold"),
        ("[answer]\nfolds = 2.5", "folds"),
        ("[intervals]\nbands = 8", "bands"),
        ("[intervals]\nbands = [8.5, 9, 10]", "bands"),
        ('[intervals]\nswings = [1, "2", 3, 4]', "swings"),
        ('[machine]\ncost = "much"', "cost"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(text: str, key: str) -> None:
    with pytest.raises(SettingError, match=rf"{key}: must be ") as refusal:
        from_toml(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("seed = -1", "seed"),
        ("[fit]\nsteps = 0", "steps"),
        ("[fit]\nbatch = 0", "batch"),
        ("[fit]\nlearning_rate = 0", "learning_rate"),
        ("[fit]\nweight_decay = -1", "weight_decay"),
        ("[fit]\nclip = 0", "clip"),
        ("[fit]\nmixup = -0.1", "mixup"),
        ("[fit]\nlabel_smoothing = 1.1", "label_smoothing"),
        ("[fit]\nema = 1.01", "ema"),
        ("[fit]\ncheckpoint_steps = 0", "checkpoint_steps"),
        ("[sampling]\nother = -1", "other"),
        ("[sampling]\nclass_power = -0.5", "class_power"),
        ("[sampling.shares]\ncircor = -1", "circor"),
        ("[sampling.class_factors]\nmurmur = -1", "class_factors.murmur"),
        ("[sampling.class_factors]\nhiccup = 1", "class_factors.hiccup is no class"),
        ("[augment]\nshort_share = 1.5", "short_share"),
        ("[augment]\nstretch = 0.9", "stretch"),
        ("[augment]\nstretch = 3.5", "least_frames"),
        ("[augment]\nfilter_sd = -1", "filter_sd"),
        ("[augment]\nfloor_share = -1", "floor_share"),
        ("[augment]\nnoise_share = 2", "noise_share"),
        ("[augment]\nnoise_snr_db = [9, 3]", "noise_snr_db"),
        ("[augment]\nband_mask = -1", "band_mask"),
        ("[augment]\ntime_mask_frames = -1", "time_mask_frames"),
        ("[answer]\nfolds = 1", "folds"),
        ("[answer]\nfolds = 101", "folds"),
        ("[answer]\nextrasystoles = 0", "extrasystoles"),
        ("[answer]\nextrasystoles = 0.6", "extrasystoles"),
        ("[fit]\nstate_weight = -1", "state_weight"),
        ("[answer]\nrisk = -0.1", "risk"),
        ("[answer]\nsmoothing = 0", "smoothing"),
        ("[answer]\nmargin = 1.5", "margin"),
        ("[window]\nhop_frames = 0", "hop_frames"),
        ("[window]\nleast_frames = 100", "least_frames"),
        ("[window]\nleast_frames = 3", "least_frames"),
        ("[front_end]\nhigh_hz = 1200", "1200"),
        ("[front_end]\nhop_samples = 0", "hop_samples"),
        ("[front_end]\nbands = 0\n[net]\nfeatures = 0", "bands"),
        ("[front_end]\ncepstra = 99", "cepstra"),
        ('[front_end]\nresampler = "VHQ"', "resampler"),
        ("[net]\nhidden = 0", "hidden"),
        ("[net]\nchannels = -3", "channels"),
        ("[net]\ndropout = 1", "dropout"),
        ("[net]\nfeatures = 31", "features"),
        ("[front_end]\nbands = 24", "features"),
        ("[front_end]\ncepstra = 13\n[net]\nfeatures = 13\n[beat_net]\nfeatures = 13", "cepstra"),
        (f"{CEPSTRA}[augment]\nnoise_share = 0\nfloor_share = 0", "cepstra"),
        (f"{CEPSTRA}[beat_augment]\nnoise_share = 0\nfloor_share = 0", "cepstra"),
        ("[beat_net]\nfeatures = 31", "beat_net.features"),
        ("[front_end]\nbands = 24\n[net]\nfeatures = 24", "beat_net.features"),
        ("[beat_net]\nhidden = 0", "beat_net.hidden"),
        ("[beat_net]\nchannels = -3", "beat_net.channels"),
        ("[beat_net]\ndropout = 1", "beat_net.dropout"),
        ("[beat_net]\nkeep = 1", "beat_net.keep"),
        ("[beat_fit]\nsteps = 0", "beat_fit: steps"),
        ("[beat_fit]\nema = 1.01", "beat_fit: ema"),
        ("[beat_fit]\nwindow_frames = 49", "window_frames"),
        ("[beat_fit]\nonset_s = 0", "onset_s"),
        ("[beat_fit]\nonset_weight = -1", "onset_weight"),
        ("[beat_augment]\nalone_share = 1.1", "alone_share"),
        ("[beat_augment]\nirregular_share = -0.1", "irregular_share"),
        ("[beat_augment]\nfloor_share = 2", "floor_share"),
        ("[beat_augment]\nnoise_share = -1", "noise_share"),
        ("[beat_augment]\nstretch = 0.5", "stretch"),
        ("[beat_augment]\nfilter_sd = -1", "filter_sd"),
        ("[beat_augment]\nnoise_snr_db = [9, 3]", "noise_snr_db"),
        ("[rhythm]\nblock_frames = 0", "block_frames"),
        ("[rhythm]\nnear_frames = 0", "near_frames"),
        ("[rhythm]\nlookahead_frames = -1", "lookahead_frames"),
        ("[rhythm]\nlookahead_frames = 60\n[beat_fit]\nwindow_frames = 60", "lookahead_frames"),
        ("[rhythm]\nthreshold = 0", "threshold"),
        ("[rhythm]\nthreshold = 1", "threshold"),
        ("[intervals]\nmemory_frames = 0", "memory_frames"),
        ("[intervals]\nbands = [8]", "bands"),
        ("[intervals]\nbands = [0, 1, 2]", "bands"),
        ("[intervals]\nbands = [8, 14, 33]", "intervals.bands must be at most 32"),
        ("[intervals]\nswings = [0.5, 1.5, 0.9, 2]", "swings"),
        ("[machine]\ncost = 0", "cost"),
        ("[machine]\nreach = -1", "reach"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_key(text: str, key: str) -> None:
    with pytest.raises(SettingError, match=key) as refusal:
        from_toml(text)
    assert "\n" not in str(refusal.value)


def test_cepstra_are_possible_where_no_energies_are_added_to_them() -> None:
    silent = "noise_share = 0\nfloor_share = 0\n"
    text = f"{CEPSTRA}[augment]\n{silent}[beat_augment]\n{silent}"
    assert from_toml(text).front_end.features == 13


def test_a_front_end_with_an_empty_band_is_a_setting_refused() -> None:
    with pytest.raises(SettingError, match="fft_samples"):
        front_end(FrontEndSpec(fft_samples=128, bands=64))


@pytest.mark.parametrize("content", [b"seed = = 1", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=r"bad\.toml"):
        load(path)


def test_a_missing_file_or_a_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingError, match=path.name):
            load(path)


@pytest.mark.parametrize("values", [[], 3, None, "seed"])
def test_only_a_table_is_a_configuration(values: Any) -> None:
    with pytest.raises(SettingError, match="must be a table"):
        from_dict(values)


def test_the_file_is_named_in_front_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[fit]\nsteps = 0")
    with pytest.raises(SettingError, match=r"mine\.toml: fit: steps must be from 1 "):
        load(path)


def test_every_default_passes_its_own_checks() -> None:
    assert AugmentSpec() == Config().augment
    assert front_end(Config().front_end).spec.features == Config().net.features == Config().beat_net.features
    assert BeatAugmentSpec() == Config().beat_augment


def test_recipes_are_the_shares_and_those_tried_each_with_none_left_to_try() -> None:
    found = recipes(Config())
    assert list(found) == ["default", "even"]
    assert found["default"].sampling.shares == Config().sampling.shares
    assert found["even"].sampling.shares == Config().sampling.tried["even"]
    assert all(config.sampling.tried == {} for config in found.values())
    for config in found.values():
        assert replace(config, sampling=Config().sampling) == Config()


def test_tried_shares_are_read_by_name_and_may_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[sampling.tried.mine]\ncircor = 1\n[sampling.tried.other]\nnoise = 0.5\n")
    config = load(path)
    assert config.sampling.tried == {"mine": {"circor": 1.0}, "other": {"noise": 0.5}}
    assert from_dict(to_dict(config)) == config
    path.write_text("[sampling]\ntried = {}\n")
    assert list(recipes(load(path))) == ["default"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sampling.tried.default]\ncircor = 1", "tried.default"),
        ('[sampling.tried."a/b"]\ncircor = 1', "tried.a/b"),
        ('[sampling.tried."../x"]\ncircor = 1', "tried"),
        ("[sampling.tried.mine]\ncircor = -1", "tried.mine.circor"),
        ("[sampling.tried]\nmine = 1", "mine"),
        ('[sampling.tried.mine]\ncircor = "all"', "circor"),
    ],
)
def test_tried_shares_that_can_not_be_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        load(path)
