"""What is told of one stream: to its sinks, into its recording; and how it stands meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from models.errors import LaennecError
from models.rhythm import Beat
from stream.block import Block, Condition
from stream.loop import Loop
from stream.pipeline import Event, Gap, Pipeline
from stream.sinks.hindered import HinderedError
from stream.sinks.recorder import Recorder
from stream.sinks.recording import Recording
from stream.sinks.sink import Sink


class Telling:
    """One stream's, from its first block to its end. Called on one thread; others may look at the attributes.

    Args:
        pipeline: of the stream; its ledger says how far it has come.
        rate_hz: of the stream.
        sinks: who is told.
        recorder: keeps the audio, if given. Where it can't any more, that is told, and listening goes on.
        loop: is stopped where a sink fails, or nobody reads it any more.

    Attributes:
        sinks: those that still work.
        recording: of the audio.
        condition: of the device.
        notice: the newest thing that the listener must know; or empty.
        ended: why the stream ended; empty while it runs, and nothing is told after it.
    """

    def __init__(
        self, pipeline: Pipeline, rate_hz: int, sinks: Iterable[Sink], recorder: Recorder | None, loop: Loop
    ) -> None:
        self._pipeline = pipeline
        self._rate_hz = rate_hz
        self._loop = loop
        self.sinks = list(sinks)
        self.recording = Recording(recorder, rate_hz, self.tell_notice, self._log_notice)
        self.condition = Condition("listening", 0)
        self.notice = ""
        self.ended = ""

    @property
    def now_s(self) -> float:
        """Stream time of the sample to come."""
        return self._pipeline.ledger.captured / self._rate_hz

    def keep(self, block: Block) -> None:
        """Record a block, if anything is recorded."""
        self.recording.block(block)

    def tell(self, events: Iterable[Event]) -> None:
        """What the pipeline found."""
        for event in events:
            self._tell_event(event)

    def _tell_event(self, event: Event) -> None:
        if isinstance(event, Gap):
            self._each(lambda sink: sink.gap(event.t_s, event.lost_samples, event.reason))
        elif isinstance(event, Beat):
            self._each(lambda sink: sink.beat(event))
        else:
            self._each(lambda sink: sink.decision(event))

    def tell_condition(self, now: Condition) -> None:
        """What became of the device."""
        self.condition = now
        self._each(lambda sink: sink.condition(now.start / self._rate_hz, now.state, now.detail))

    def tell_notice(self, text: str) -> None:
        """Something that the listener must know; an empty text is nothing."""
        if text and not self.ended:
            self.notice = text
            self._log_notice(text)

    def _log_notice(self, text: str) -> None:
        self._each(lambda sink: sink.notice(self.now_s, text))

    def tell_mark(self, t_s: float, note: str) -> None:
        """A moment that the listener marked."""
        self._each(lambda sink: sink.mark(t_s, note))

    def end(self, reason: str) -> None:
        """The stream is over: finish the recording, and tell all."""
        self.recording.close()
        self.ended = reason
        self._each(lambda sink: sink.end(self._pipeline.ledger, reason))

    def close(self, reason: str) -> None:
        """Hold on to nothing, whatever happened; after `end` nothing is left to do. Nothing is told any more."""
        self.ended = self.ended or reason
        self.recording.close()

    def _each(self, tell: Callable[[Sink], None]) -> None:
        """Tell every sink; one that fails, or whose reader has gone (`| head`), is left out and ends the listening.

        One that copes with its failure stays, and all are told its notice.
        """
        said: list[str] = []
        for sink in list(self.sinks):
            try:
                tell(sink)
            except HinderedError as notice:
                said.append(str(notice))
            except BrokenPipeError:
                self.sinks.remove(sink)
                self._loop.stop("output closed")
            except LaennecError as error:
                self.sinks.remove(sink)
                self._loop.fail(error)
        for text in said:
            self.tell_notice(text)
