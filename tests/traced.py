"""How many replies the coordinator holds: their bytes are counted while they live."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from flwr.app import Array, ArrayRecord, Context, Message

from scenarios.engine import InProcessGrid, SiteApp


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
