"""Buses that look at what passes, and count the bytes of replies while they live."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import ClassVar

from flwr.app import Array, ArrayRecord, Context, Message, RecordDict

from scenarios.engines.in_process import InProcessGrid, SiteApp


class Traced(bytes):
    """Bytes that are counted while they live."""

    alive: ClassVar[int] = 0

    def __new__(cls, data: bytes) -> "Traced":
        """Count one more."""
        cls.alive += 1
        return super().__new__(cls, data)

    def __del__(self) -> None:
        """Count one less."""
        type(self).alive -= 1


class CountingGrid(InProcessGrid):
    """A bus that looks, whenever a reply is pulled, how many traced arrays are alive."""

    def __init__(self, sites: Sequence[SiteApp]) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self.held: list[int] = []

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Look, then pull."""
        self.held.append(Traced.alive)
        return super().pull_messages(message_ids)


def traced(site: SiteApp) -> SiteApp:
    """Return the site with its largest array traced in each of its answers."""

    def app(message: Message, context: Context) -> Message:
        reply = site(message, context)
        for record in reply.content.values():
            if isinstance(record, ArrayRecord):
                name, largest = max(record.items(), key=lambda item: len(item[1].data))
                record[name] = Array(
                    dtype=largest.dtype,
                    shape=largest.shape,
                    stype=largest.stype,
                    data=Traced(largest.data),
                )
        return reply

    return app


class KeepingGrid(InProcessGrid):
    """A bus that keeps each content it delivered, and a copy."""

    def __init__(self, sites: Sequence[SiteApp]) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self.delivered: list[tuple[RecordDict, RecordDict]] = []

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Deliver and keep."""
        replies = list(super().pull_messages(message_ids))
        self.delivered += [(reply.content, deepcopy(reply.content)) for reply in replies]
        return replies


class EagerGrid(InProcessGrid):
    """A bus on which all have answered, in a given order, before the first reply is pulled."""

    def __init__(self, sites: Sequence[SiteApp], order: Sequence[int]) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self._order = order
        self._here: dict[str, Message] = {}

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Let all sites answer at once."""
        ids = list(super().push_messages(messages))
        for message_id in (ids[index] for index in self._order if index < len(ids)):
            (self._here[message_id],) = super().pull_messages([message_id])
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return answers that are there."""
        return [self._here.pop(message_id) for message_id in message_ids]
