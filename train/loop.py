"""One training run: deterministic for a seed, stoppable at any step, resumable to the same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.errors import InputFileError, LaennecError, SettingError
from models.nets import HeartNet
from train import checkpoint as ckpt
from train.config import Config, from_dict, to_dict
from train.predict import recording_loss
from train.sampling import Batch, Sampler
from train.table import Table

Report = Callable[[int, float], None]


class Interrupted(LaennecError):  # noqa: N818 - no error: somebody asked for it
    """Training was stopped; its checkpoint is on disk."""


class Fit:
    """A network in training, with everything that a checkpoint must bring back.

    Args:
        config: the whole configuration.
        table: features of all recordings.
        indices: the recordings to learn from.
        seed: of weights, sampling and dropout.
        watched: recordings whose loss is written to the learning curve; nothing is chosen by it.
    """

    def __init__(
        self, config: Config, table: Table, indices: Sequence[int], seed: int, watched: Sequence[int] = ()
    ) -> None:
        torch.manual_seed(seed)
        # One thread: the sum order of a parallel reduction depends on the machine's cores.
        torch.set_num_threads(1)
        self.config = config
        self.seed = seed
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._table = table
        self._watched = list(watched)
        self._learned = table.fingerprint(indices)
        self._sampler = Sampler(config, table, indices)
        self._rng = np.random.default_rng(seed)
        self._net = HeartNet(config.net)
        average = get_ema_multi_avg_fn(config.fit.ema)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self._net, multi_avg_fn=average, use_buffers=True)
        spec = config.fit
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=spec.learning_rate, total_steps=spec.steps
        )

    @property
    def net(self) -> HeartNet:
        """The averaged network, ready to predict."""
        # A copy, not a new network: initial weights would be drawn from the chance that dropout goes on with.
        return cast(HeartNet, copy.deepcopy(self._average.module).eval())

    def run(self, path: Path, report: Report, stop: Callable[[], bool]) -> HeartNet:
        """Train to the end, from `path` if a checkpoint lies there.

        Args:
            path: where the checkpoint is read and written.
            report: called after each step with the step and its loss.
            stop: asked after each step; True saves and ends.

        Raises:
            Interrupted: `stop` said so; the checkpoint continues from here.
            InputFileError: the checkpoint is damaged.
            SettingError: it belongs to another configuration, or learned from other recordings.
        """
        if path.exists():
            self._restore(path)
        spec = self.config.fit
        while self.step < spec.steps:
            loss = self._one_step()
            self._note(loss)
            report(self.step, loss)
            if stop():
                self._save(path)
                raise Interrupted(f"stopped at step {self.step} of {spec.steps}; continue with --resume")
            if self.step % spec.checkpoint_steps == 0:
                self._save(path)
        self._save(path)
        return self.net

    def _one_step(self) -> float:
        self._net.train()
        batch = self._sampler.batch(self._rng)
        logits = self._net(torch.from_numpy(batch.features), torch.from_numpy(batch.frames))
        loss = masked_cross_entropy(logits, batch, self.config.fit.label_smoothing)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), self.config.fit.clip)
        self._optimizer.step()
        self._schedule.step()
        self._average.update_parameters(self._net)
        self.step += 1
        return float(loss.detach())

    def _note(self, loss: float) -> None:
        if self.step % 50 == 0:
            point = {"step": float(self.step), "loss": loss}
            if self._watched and self.step % 250 == 0:
                point["held_out_loss"] = recording_loss(self.net, self.config.window, self._table, self._watched)
            self.history.append(point)

    def _save(self, path: Path) -> None:
        optimizer, groups = ckpt.pack_optimizer(self._optimizer.state_dict())
        tensors = {f"net.{n}": t for n, t in self._net.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in self._average.state_dict().items()}
        tensors |= optimizer | {"random.torch": torch.get_rng_state()}
        schedule = {k: v for k, v in self._schedule.state_dict().items() if isinstance(v, int | float)}
        notes = {
            "config": to_dict(self.config),
            "seed": self.seed,
            "learned": self._learned,
            "step": self.step,
            "history": self.history,
            "groups": groups,
            "schedule": schedule,
            "random": self._rng.bit_generator.state,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        ckpt.save(path, ckpt.Checkpoint(tensors, notes))

    def _restore(self, path: Path) -> None:
        held = ckpt.load(path)
        try:
            check_same(path, held.notes, self.config, self.seed, self._learned)
            self._put_back(held)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputFileError(f"{path}: is not a checkpoint of this version; train anew in a new folder") from error

    def _put_back(self, held: ckpt.Checkpoint) -> None:
        self._net.load_state_dict(ckpt.part(held, "net"))
        self._average.load_state_dict(ckpt.part(held, "average"))
        self._optimizer.load_state_dict(ckpt.unpack_optimizer(ckpt.part(held, "optimizer"), held.notes["groups"]))
        self._schedule.load_state_dict(self._schedule.state_dict() | held.notes["schedule"])
        self._rng.bit_generator.state = held.notes["random"]
        torch.set_rng_state(held.tensors["random.torch"])
        self.step = held.notes["step"]
        self.history = held.notes["history"]


def check_same(path: Path, notes: dict[str, Any], config: Config, seed: int, learned: str) -> None:
    """Refuse to continue a run under other settings, or to take its network for one that learned from less.

    Raises:
        SettingError: the configuration, the seed or the hash of the recordings differs from the checkpoint's.
    """
    if from_dict(notes["config"]) != config or notes["seed"] != seed:
        raise SettingError(f"{path} was trained with other settings; use the same --config, or a new folder")
    if notes["learned"] != learned:
        raise SettingError(f"{path} learned from other recordings; give the same --data, or a new folder")


def masked_cross_entropy(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Cross-entropy over the classes that each window's source can speak of.

    Args:
        logits: (batch, 5).
        batch: targets and masks.
        smoothing: share of the target spread evenly over those classes.
    """
    speaks_of = torch.from_numpy(batch.speaks_of)
    targets = torch.from_numpy(batch.targets)
    even = speaks_of / speaks_of.sum(dim=1, keepdim=True)
    targets = (1 - smoothing) * targets + smoothing * even
    logs = logits.masked_fill(~speaks_of, -1e9).log_softmax(dim=1)
    return -(targets * logs).where(speaks_of, 0.0).sum(dim=1).mean()
