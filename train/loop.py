"""One training run: deterministic for a seed, stoppable at any step, resumable to the same weights."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.errors import InputFileError, LaennecError, SettingError
from train import checkpoint as ckpt
from train.config import Config, to_dict
from train.loop_config import LoopSpec

Report = Callable[[int, float], None]
Net = TypeVar("Net", bound=nn.Module)


class Interrupted(LaennecError):  # noqa: N818 - no error: somebody asked for it
    """Training was stopped; its checkpoint is on disk."""


class Task(Protocol[Net]):
    """What is learned, and from what.

    Attributes:
        learned: fingerprint of the recordings learned from; a checkpoint of others is not continued.
    """

    learned: str

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the configuration's parts that the network depends on; a checkpoint of others is not continued."""

    def fresh(self) -> Net:
        """A network with random weights."""

    def loss(self, net: Net, rng: np.random.Generator) -> Tensor:
        """Of the network in training on a random batch."""

    def watch(self, net: Net) -> float | None:
        """Loss on watched recordings, for the learning curve; nothing is chosen by it. None where none are."""


class Fit(Generic[Net]):
    """A network in training, with everything that a checkpoint must bring back.

    Args:
        config: the whole configuration.
        spec: the part of it that says how long and how fast.
        task: what to learn.
        seed: of weights, sampling and dropout.
    """

    def __init__(self, config: Config, spec: LoopSpec, task: Task[Net], seed: int) -> None:
        torch.manual_seed(seed)
        # One thread: the sum order of a parallel reduction depends on the machine's cores.
        torch.set_num_threads(1)
        self.config = config
        self.seed = seed
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._spec = spec
        self._task = task
        self._rng = np.random.default_rng(seed)
        self._net = task.fresh()
        average = get_ema_multi_avg_fn(spec.ema)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self._net, multi_avg_fn=average, use_buffers=True)
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=spec.learning_rate, total_steps=spec.steps
        )

    @property
    def net(self) -> Net:
        """The averaged network, ready to predict."""
        # A copy, not a new network: initial weights would be drawn from the chance that dropout goes on with.
        return cast(Net, copy.deepcopy(self._average.module).eval())

    def run(self, path: Path, report: Report, stop: Callable[[], bool]) -> Net:
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
        spec = self._spec
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
        loss = self._task.loss(self._net, self._rng)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), self._spec.clip)
        self._optimizer.step()
        self._schedule.step()
        self._average.update_parameters(self._net)
        self.step += 1
        return float(loss.detach())

    def _note(self, loss: float) -> None:
        if self.step % 50 == 0:
            point = {"step": float(self.step), "loss": loss}
            if self.step % 250 == 0 and (watched := self._task.watch(self.net)) is not None:
                point["held_out_loss"] = watched
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
            "learned": self._task.learned,
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
            check_same(path, held.notes, self.config, self._task.settings, self.seed, self._task.learned)
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


def check_same(
    path: Path, notes: dict[str, Any], config: Config, settings: tuple[str, ...], seed: int, learned: str
) -> None:
    """Refuse to continue a run under other settings, or to take its network for one that learned from less.

    Raises:
        SettingError: one of those settings, the seed or the hash of the recordings differs from the checkpoint's.
    """
    now = json.loads(json.dumps(to_dict(config)))
    if any(notes["config"][name] != now[name] for name in settings) or notes["seed"] != seed:
        raise SettingError(f"{path} was trained with other settings; use the same --config, or a new folder")
    if notes["learned"] != learned:
        raise SettingError(f"{path} learned from other recordings; give the same --data, or a new folder")
