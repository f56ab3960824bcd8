"""One listening session: source -> pipeline -> sinks, from the first sample to a complete log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from models.bundle import Bundle
from models.errors import LaennecError
from stream import look
from stream.block import Block, Condition, Source, unheard
from stream.loop import Loop
from stream.monitor.view import Mark, View
from stream.past import Past
from stream.pipeline import Pipeline
from stream.sinks.recorder import Recorder
from stream.sinks.sink import Sink
from stream.snapshot import Ledger, Snapshot
from stream.telling import Telling

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
        self._loop = Loop(source.stop)
        self._pipeline = Pipeline(bundle, source.rate_hz, remember=True)
        self._past = Past()
        self._telling = Telling(self._pipeline, source.rate_hz, [self._past, *sinks], recorder, self._loop)
        self._asked: deque[Callable[[], None]] = deque()  # to be done on the thread that runs
        self._noting: Mark | None = None
        self._marking = Lock()  # a mark is being typed, or kept: never both, never neither
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
            self._asked.append(lambda: self._telling.tell_mark(*mark))

    def record(self, path: Path | None) -> None:
        """Keep the audio from now on, in a new file; or, with None, no longer."""
        recording = self._telling.recording
        self._asked.append(lambda: recording.begin(path) if path else recording.end())

    def notice(self, text: str) -> None:
        """Tell the listener something that must be known."""
        self._asked.append(lambda: self._telling.tell_notice(text))

    def stop(self, reason: str = "stopped") -> None:
        """End soon, in good order. Takes no lock: a signal handler may call it."""
        self._loop.stop(reason)

    def run(self, after_block: Callable[[], None] = lambda: None) -> None:
        """Listen to the end; whatever happens, what was heard is decided, told and closed.

        Args:
            after_block: called after each block.

        Raises:
            LaennecError: the source or a sink failed; the log is complete up to there, with the reason in its end.
        """

        def hear(heard: Block | Condition) -> None:
            self._do_what_was_asked()
            if isinstance(heard, Condition):
                self._telling.tell_condition(heard)
            else:
                self._hear(unheard(heard, PAUSED) if self.paused else heard)
            after_block()

        self._loop.run(self._source.blocks(), hear, self._finish)

    def _hear(self, block: Block) -> None:
        self._telling.keep(block)
        self._telling.tell(self._pipeline.process(block))

    def _keep_last_mark(self) -> None:
        with self._marking:
            last, self._noting = self._noting, None
        self._do_what_was_asked()
        if last:
            self._telling.tell_mark(*last)

    def _do_what_was_asked(self) -> None:
        while self._asked:
            self._asked.popleft()()

    def _finish(self, reason: str) -> None:
        try:
            try:
                self._telling.tell(self._pipeline.flush())
            except LaennecError as error:  # a model that fails on this sound; the log is ended all the same
                self._loop.fail(error)
                reason = self._loop.reason
            self._keep_last_mark()
            self.recorded_to_end = bool(self.recording)
            self._telling.end(reason)
        finally:
            self._telling.close(reason)
            self._source.close()

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to end."""
        return bool(self._loop.reason)

    @property
    def ledger(self) -> Ledger:
        """Where every sample so far went."""
        return self._pipeline.ledger

    @property
    def recording(self) -> str:
        """Name of the file that is being recorded; empty where none is."""
        return self._telling.recording.name

    @property
    def now_s(self) -> float:
        """Stream time of the sample to come."""
        return self._telling.now_s

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
        told = self._telling
        standing = look.Standing(told.condition, told.notice, told.ended, self.paused, self.recording)
        return look.snapshot(self._source, self._bundle, self._pipeline, self._past, standing, view)
