"""One listening session: source -> pipeline -> sinks, from the first sample to a complete log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from models.bundle import Bundle
from models.decide import Decision
from models.errors import LaennecError
from models.rhythm import Beat
from stream import tachogram
from stream.block import Condition, Source
from stream.pipeline import TRACE_S, Event, Gap, Pipeline
from stream.sinks.hindered import HinderedError
from stream.sinks.recorder import Recorder
from stream.snapshot import Ledger, Snapshot

_MOST_HISTORY = 4000


class Sink(Protocol):
    """Something that is told what happens."""

    def decision(self, d: Decision) -> None:
        """A rolling classification."""

    def beat(self, beat: Beat) -> None:
        """A heart sound, in stream time; told up to a second after it was heard."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """Audio was lost."""

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """What became of a live device, one of `block.CONDITIONS`."""

    def notice(self, t_s: float, text: str) -> None:
        """Something that the listener must know: one line that names the cause and what to do."""

    def end(self, ledger: Ledger, reason: str) -> None:
        """The session is over."""


class Session:
    """Runs once, on the calling thread; `stop` and `snapshot` may be called from others.

    Args:
        source: what to listen to.
        bundle: the model.
        sinks: who is told.
        recorder: keeps the audio, if given. Where it can't any more, that is told, and listening goes on.
    """

    def __init__(self, source: Source, bundle: Bundle, sinks: list[Sink], recorder: Recorder | None = None) -> None:
        self._source = source
        self._bundle = bundle
        self._sinks = sinks
        self._recorder = recorder
        self._pipeline = Pipeline(bundle, source.rate_hz)
        self._history: tuple[Decision, ...] = ()
        self._beats: tuple[Beat, ...] = ()
        self._cycles = tachogram.init_state()
        self._condition = Condition("listening", 0)
        self._notice = ""
        self._stop_reason = ""
        self._failure: LaennecError | None = None
        self._ended = ""

    def stop(self, reason: str = "stopped") -> None:
        """End soon, in good order. Takes no lock: a signal handler may call it."""
        self._stop_reason = self._stop_reason or reason
        self._source.stop()

    def run(self, after_block: Callable[[], None] = lambda: None) -> None:
        """Listen to the end; whatever happens, what was heard is decided, told and closed.

        Args:
            after_block: called after each block.

        Raises:
            LaennecError: the source or a sink failed; the log is complete up to there, with the reason in its end.
        """
        reason = "broken off"
        try:
            for heard in self._source.blocks():
                if isinstance(heard, Condition):
                    self._tell_condition(heard)
                else:
                    if self._recorder:
                        self._tell_notice(self._recorder.block(heard))
                    self._tell(self._pipeline.process(heard))
                after_block()
            reason = "end of input"
        except LaennecError as error:
            self._fail(error)
        finally:
            self._source.stop()
            self._finish(self._stop_reason or reason)
        if self._failure:
            raise self._failure

    def _fail(self, error: LaennecError) -> None:
        """Remember the first failure, and end: those sinks that still work are to get everything."""
        self._failure = self._failure or error
        self.stop(str(error))

    def _finish(self, reason: str) -> None:
        try:
            try:
                self._tell(self._pipeline.flush())
            except LaennecError as error:  # a model that fails on this sound; the log is ended all the same
                self._fail(error)
                reason = self._stop_reason
            if self._recorder:
                self._tell_notice(self._recorder.close())
            self._ended = reason  # nothing is told after the end
            self._each(lambda sink: sink.end(self._pipeline.ledger, reason))
        finally:
            self._ended = reason
            self._source.close()
            if self._recorder:
                self._recorder.close()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Gap):
                self._tell_gap(event)
            elif isinstance(event, Beat):
                self._tell_beat(event)
            else:
                self._tell_decision(event)

    def _tell_gap(self, gap: Gap) -> None:
        self._cycles = tachogram.broken(self._cycles)
        self._each(lambda sink: sink.gap(gap.t_s, gap.lost_samples, gap.reason))

    def _tell_condition(self, now: Condition) -> None:
        self._condition = now
        self._each(lambda sink: sink.condition(now.start / self._source.rate_hz, now.state, now.detail))

    def _tell_notice(self, text: str) -> None:
        if text and not self._ended:
            self._notice = text
            t_s = self._pipeline.ledger.captured / self._source.rate_hz
            self._each(lambda sink: sink.notice(t_s, text))

    def _tell_beat(self, beat: Beat) -> None:
        self._beats = (*(b for b in self._beats if b.t_s > beat.t_s - TRACE_S), beat)
        self._cycles = tachogram.heard(beat, self._cycles)
        self._each(lambda sink: sink.beat(beat))

    def _tell_decision(self, made: Decision) -> None:
        self._history = (*_thinned(self._history), made)
        self._cycles = tachogram.judged(made.t_s, made.regularity, self._cycles)
        self._each(lambda sink: sink.decision(made))

    def _each(self, tell: Callable[[Sink], None]) -> None:
        """Tell every sink; one that fails, or whose reader has gone (`| head`), is left out and ends the session.

        One that copes with its failure stays, and all are told its notice.
        """
        said: list[str] = []
        for sink in list(self._sinks):
            try:
                tell(sink)
            except HinderedError as notice:
                said.append(str(notice))
            except BrokenPipeError:
                self._sinks.remove(sink)
                self.stop("output closed")
            except LaennecError as error:
                self._sinks.remove(sink)
                self._fail(error)
        for text in said:
            self._tell_notice(text)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to end."""
        return bool(self._stop_reason)

    @property
    def ledger(self) -> Ledger:
        """Where every sample so far went."""
        return self._pipeline.ledger

    def snapshot(self) -> Snapshot:
        """What the screen shows now."""
        trace, history = self._pipeline.trace, self._history
        about, spec = self._source.description, self._bundle.front_end.spec
        age = getattr(self._source, "captured_s_ago", None)
        return Snapshot(
            source=str(about["name"]),
            model=self._bundle.id,
            band_hz=(spec.low_hz, spec.high_hz),
            rate_hz=self._source.rate_hz,
            trace=trace.samples,
            trace_rate_hz=spec.rate_hz,
            trace_end_s=trace.end_s,
            decision=history[-1] if history else None,
            history=history,
            beats=self._beats,
            cycles=self._cycles.found,
            level=self._pipeline.level,
            ledger=self._pipeline.ledger,
            latency_s=age() + self._pipeline.delay_s if age and self._condition.state == "listening" else None,
            recording=self._recorder.name if self._recorder else "",
            condition=self._condition.state,
            condition_detail=self._condition.detail,
            drift_ppm=getattr(self._source, "drift_ppm", None),
            waiting_s=getattr(self._source, "waiting_s", None),
            notice=self._notice,
            synthetic=about["kind"] == "simulated",
            ended=self._ended,
        )


def _thinned(history: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """What may stay of a long history: the newer half, and of what is older one a step, evenly over all of the time."""
    if len(history) < _MOST_HISTORY:
        return history
    half = _MOST_HISTORY // 2
    step_s = history[half].t_s / (half // 2)
    kept = {int(d.t_s / step_s): d for d in reversed(history[:half])}  # the first of each step
    return (*reversed(kept.values()), *history[half:])
