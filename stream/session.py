"""One listening session: source -> pipeline -> sinks, from the first sample to a complete log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from models.bundle import Bundle
from models.decide import Decision
from models.errors import LaennecError
from models.rhythm import Beat
from stream import look
from stream.block import Block, Condition, Source, unheard
from stream.monitor.view import Mark, View
from stream.past import Past
from stream.pipeline import Event, Gap, Pipeline
from stream.sinks.hindered import HinderedError
from stream.sinks.recorder import Recorder
from stream.sinks.recording import Recording
from stream.sinks.sink import Sink
from stream.snapshot import Ledger, Snapshot

PAUSED = "paused by the listener"


class Session:
    """Runs once, on the calling thread; another one may look (`snapshot`) and ask (`stop`, `pause`, `mark`, `record`).

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
        self._recording = Recording(recorder, source.rate_hz, self._tell_notice, self._log_notice)
        self._pipeline = Pipeline(bundle, source.rate_hz)
        self._past = Past()
        self._asked: deque[Callable[[], None]] = deque()  # to be done on the thread that runs
        self._noting: Mark | None = None
        self._marking = Lock()  # a mark is being typed, or kept: never both, never neither
        self._condition = Condition("listening", 0)
        self._notice = ""
        self._stop_reason = ""
        self._failure: LaennecError | None = None
        self._ended = ""
        self.paused = False
        self.recorded_to_end = False

    def pause(self, paused: bool) -> None:
        """From the next block on, count what comes as lost; or listen again."""
        self.paused = paused

    def note(self, noting: Mark | None) -> None:
        """A mark whose note is still being typed; it is kept if the session ends meanwhile."""
        with self._marking:
            self._noting = noting

    def mark(self, mark: Mark) -> None:
        """Keep a moment."""
        with self._marking:
            self._noting = None
            self._asked.append(lambda: self._tell_mark(mark))

    def record(self, path: Path | None) -> None:
        """Keep the audio from now on, in a new file; or, with None, no longer."""
        self._asked.append(lambda: self._recording.begin(path) if path else self._recording.end())

    def notice(self, text: str) -> None:
        """Tell the listener something that must be known."""
        self._asked.append(lambda: self._tell_notice(text))

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
                self._do_what_was_asked()
                if isinstance(heard, Condition):
                    self._tell_condition(heard)
                else:
                    self._hear(unheard(heard, PAUSED) if self.paused else heard)
                after_block()
            reason = "end of input"
        except LaennecError as error:
            self._fail(error)
        finally:
            self._source.stop()
            self._finish(self._stop_reason or reason)
        if self._failure:
            raise self._failure

    def _hear(self, block: Block) -> None:
        self._recording.block(block)
        self._tell(self._pipeline.process(block))

    def _keep_last_mark(self) -> None:
        with self._marking:
            last, self._noting = self._noting, None
        self._do_what_was_asked()
        if last:
            self._tell_mark(last)

    def _do_what_was_asked(self) -> None:
        while self._asked:
            self._asked.popleft()()

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
            self._keep_last_mark()
            self.recorded_to_end = bool(self.recording)
            self._recording.close()
            self._ended = reason  # nothing is told after the end
            self._each(lambda sink: sink.end(self._pipeline.ledger, reason))
        finally:
            self._ended = reason
            self._source.close()
            self._recording.close()  # nothing is told any more

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Gap):
                self._tell_gap(event)
            elif isinstance(event, Beat):
                self._tell_beat(event)
            else:
                self._tell_decision(event)

    def _tell_gap(self, gap: Gap) -> None:
        self._past.gap()
        self._each(lambda sink: sink.gap(gap.t_s, gap.lost_samples, gap.reason))

    def _tell_condition(self, now: Condition) -> None:
        self._condition = now
        self._each(lambda sink: sink.condition(now.start / self._source.rate_hz, now.state, now.detail))

    def _tell_notice(self, text: str) -> None:
        if text and not self._ended:
            self._notice = text
            self._log_notice(text)

    def _log_notice(self, text: str) -> None:
        self._each(lambda sink: sink.notice(self.now_s, text))

    def _tell_mark(self, mark: Mark) -> None:
        self._past.mark(mark)
        self._each(lambda sink: sink.mark(mark.t_s, mark.note))

    def _tell_beat(self, beat: Beat) -> None:
        self._past.beat(beat)
        self._each(lambda sink: sink.beat(beat))

    def _tell_decision(self, made: Decision) -> None:
        self._past.decide(made)
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

    @property
    def recording(self) -> str:
        """Name of the file that is being recorded; empty where none is."""
        return self._recording.name

    @property
    def now_s(self) -> float:
        """Stream time of the sample to come."""
        return self._pipeline.ledger.captured / self._source.rate_hz

    @property
    def live_s(self) -> float:
        """Stream time up to which the trace can be drawn now."""
        return look.live_s(self._pipeline.memory)

    @property
    def source(self) -> dict[str, object]:
        """What is listened to; see `Source.description`."""
        return self._source.description

    def snapshot(self, view: View = View()) -> Snapshot:
        """What the screen shows now, to someone who chose that view."""
        standing = look.Standing(self._condition, self._notice, self._ended, self.paused, self.recording)
        return look.snapshot(self._source, self._bundle, self._pipeline, self._past, standing, view)
