"""Several streams heard at once: each has its own pipeline, sinks and recording, and all are stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.bundle import Bundle
from models.errors import LaennecError
from stream import together
from stream.block import Block, Condition
from stream.loop import Loop
from stream.pipeline import Pipeline
from stream.sinks.recorder import Recorder
from stream.sinks.sink import Sink
from stream.telling import Telling
from stream.ward.feed import Feed, Member, Over, Round
from stream.ward.newest import Newest
from stream.ward.snapshot import Row, WardSnapshot
from stream.ward.view import WardView


class Listeners(NamedTuple):
    """Who is told of one stream: sinks, and a recorder if its audio is kept."""

    sinks: Sequence[Sink] = ()
    recorder: Recorder | None = None


class Bed:
    """One stream of a ward."""

    def __init__(self, member: Member, bundle: Bundle, told: Listeners, loop: Loop) -> None:
        self.member = member
        self.pipeline = Pipeline(bundle, member.rate_hz)
        self.newest = Newest()
        self.telling = Telling(self.pipeline, member.rate_hz, [self.newest, *told.sinks], told.recorder, loop)

    def row(self) -> Row:
        """How it stands; another thread may ask."""
        answer, telling = self.newest.answer, self.telling
        return Row(
            name=self.member.name,
            rate_hz=self.member.rate_hz,
            decision=answer.decision if answer else None,
            held_s=answer.decision.t_s - answer.since_s if answer else 0.0,
            ledger=self.pipeline.ledger,
            condition=telling.condition.state,
            detail=telling.condition.detail,
            notice=telling.notice,
            ended=telling.ended,
        )


class Ward:
    """Runs once, on the calling thread; another one may look (`snapshot`) and ask (`stop`).

    What one stream gives does not depend on the others: its events are those that a session of its own would tell. A
    stream whose source fails ends with the reason in its log, and the others go on.

    Args:
        feed: what to listen to.
        bundle: the model.
        told: who is told of each stream, in the feed's order.
    """

    def __init__(self, feed: Feed, bundle: Bundle, told: Sequence[Listeners]) -> None:
        self._feed = feed
        self._bundle = bundle
        self._loop = Loop(feed.stop)
        self._beds = [Bed(member, bundle, each, self._loop) for member, each in zip(feed.members, told, strict=True)]

    def stop(self, reason: str = "stopped") -> None:
        """End soon, in good order. Takes no lock: a signal handler may call it."""
        self._loop.stop(reason)

    def run(self) -> None:
        """Listen until all streams have ended; whatever happens, what was heard is decided, told and closed.

        Raises:
            LaennecError: what failed first, of any stream or sink; every log has its end, with the reason.
        """
        self._loop.run(self._feed.rounds(), self._hear, self._finish)

    def _hear(self, given: Round) -> None:
        blocks = [(self._beds[k], block) for k, block in given if isinstance(block, Block)]
        for bed, block in blocks:
            bed.telling.keep(block)
        if blocks:
            told = together.process([bed.pipeline for bed, _ in blocks], [block for _, block in blocks])
            for (bed, _), events in zip(blocks, told, strict=True):
                bed.telling.tell(events)
        for index, each in given:
            if isinstance(each, Condition):
                self._beds[index].telling.tell_condition(each)
        self._end([(self._beds[k], over) for k, over in given if isinstance(over, Over)])

    def _end(self, over: Sequence[tuple[Bed, Over]]) -> None:
        self._flush([bed for bed, _ in over])
        for bed, why in over:
            if why.error:
                self._loop.note(why.error)
            bed.telling.end(why.reason)

    def _flush(self, beds: Sequence[Bed]) -> None:
        if beds:
            for bed, events in zip(beds, together.flush([bed.pipeline for bed in beds]), strict=True):
                bed.telling.tell(events)

    def _finish(self, reason: str) -> None:
        left = [bed for bed in self._beds if not bed.telling.ended]
        try:
            try:
                self._flush(left)
            except LaennecError as error:  # a model that fails on this sound; the logs are ended all the same
                self._loop.fail(error)
                reason = self._loop.reason
            for bed in left:
                bed.telling.end(reason)
        finally:
            for bed in left:
                bed.telling.close(reason)
            self._feed.close()

    def snapshot(self, view: WardView = WardView()) -> WardSnapshot:
        """What the screen shows now, to someone who chose that view."""
        age = getattr(self._feed, "captured_s_ago", None)
        return WardSnapshot(
            source=self._feed.name,
            model=self._bundle.id,
            rows=tuple(bed.row() for bed in self._beds),
            latency_s=age() + self._beds[0].pipeline.delay_s if age else None,
            drift_ppm=getattr(self._feed, "drift_ppm", None),
            view=view,
        )

    @property
    def streams(self) -> int:
        """How many there are."""
        return len(self._beds)
