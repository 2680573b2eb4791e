"""The coordinator's audit trail: every message it sent and received, and the outcome."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid

from consortium.audit import journal as audit
from consortium.audit.journal import (
    OWNER,
    Journal,
    content_digest,
    link_digest,
    open_journal,
)
from consortium.audit.program import package_digest
from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from privacy.audit.signed_head import Anchor
from privacy.canonical import MalformedEnvelope
from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.protocol.part_digests import digests_shared
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.hub_messages import Relayed
from strategies.coordinator.messaging.events import RoundFinished, RunEvent, SiteQuarantined


@dataclass(eq=False)
class CoordinatorAuditTrail:
    """Writes the coordinator's messages and outcomes to its audit log.

    Guarantee: an answer and its outcome are on disk before the next request leaves, and before any
    result of it is kept (`commit`). So there is about one disk sync per round, or one for some
    hundred messages.

    Args:
        journal: The coordinator's log.
        links: For each node, its site's name and the key of its messages' digests.
        before_sending: Within this block requests are written to disk before they leave.
    """

    journal: Journal
    before_sending: Callable[[], AbstractContextManager[None]] = field(
        default=nullcontext, repr=False
    )
    links: dict[int, tuple[str, bytes]] = field(default_factory=dict, repr=False)

    @classmethod
    def open_for(
        cls, run: RunDirectory, charter: Charter, config: RunConfig
    ) -> "CoordinatorAuditTrail":
        """Open the audit trail of a run, and note the digests of its charter, config and program.

        Raises:
            AuditLogUnavailable: The log cannot be opened.
        """
        run.coordinator.mkdir(parents=True, exist_ok=True)
        key = SigningKey.at(run.signing_key)
        journal = open_journal(run.coordinator, owner=OWNER, key=key.public, sign=key.sign)
        journal.note(
            audit.RUN,
            charter=charter.fingerprint,
            config=config.digest,
            program=package_digest(),
            aggregation=config.aggregation,
            privacy=config.privacy.label,
            **config.audit_facts,
        )
        journal.commit()
        return cls(journal)

    def note_sent(self, asked: Iterable[Message]) -> None:
        """Note requests before they leave. A content sent to many sites is hashed once."""
        digests: dict[tuple[str, int], bytes] = {}
        with digests_shared():
            for message in asked:
                kind, content = message.metadata.message_type, message.content
                key = (kind, id(content))
                if key not in digests:
                    digests[key] = content_digest(kind, content)
                self._note_message(
                    audit.SENT,
                    message.metadata.dst_node_id,
                    kind,
                    wire.num_bytes(content),
                    digests[key],
                )
        with self.before_sending():
            self.journal.commit()

    def note_received(self, reply: Message) -> None:
        """Note an answer."""
        node, kind = reply.metadata.src_node_id, reply.metadata.message_type
        if not reply.has_content():
            self.journal.note(
                audit.REFUSED, site=self._site_name(node), kind=kind, code="node-failed"
            )
        else:
            if kind == messages.HELLO:
                self._note_join(node, reply.content)
            # What a hub took out of an answer is known by the digest that the hub told: if it is
            # not that in the member's log, the logs contradict each other.
            told = reply.content.brought if isinstance(reply.content, Relayed) else None
            digest = told.digest if told else content_digest(kind, reply.content)
            size = told.num_bytes if told else wire.num_bytes(reply.content)
            self._note_message(audit.RECEIVED, node, kind, size, digest)

    def note_event(self, event: RunEvent) -> None:
        """Note the outcome of a round. No figure is noted, released or not."""
        match event:
            case SiteQuarantined():
                self.journal.note(
                    audit.QUARANTINED, round=event.server_round, site=event.site, code=event.code
                )
            case RoundFinished():
                # From which model each update was computed, and who had none, where it is so.
                said = {"asked-in": event.asked_in, "unchanged": event.unchanged}
                course = {key: ",".join(map(str, each)) for key, each in said.items() if each}
                self.journal.note(
                    audit.ROUND, round=event.server_round, sites=",".join(event.answered), **course
                )

    def commit(self) -> None:
        """Write all notes to disk."""
        self.journal.commit()

    def note_end(self, status: str, model: str = "") -> None:
        """Note how the run ended, and the published digest of its model."""
        self.journal.note(audit.ENDED, status=status, model=model)
        self.journal.commit()

    def close(self) -> None:
        """Write all notes to disk, and close the log."""
        self.commit()
        self.journal.chain.close()

    def _note_join(self, node: int, content: RecordDict) -> None:
        arrays, facts = content.get(wire.ARRAYS), content.get(wire.FACTS)
        if not isinstance(arrays, ArrayRecord) or "anchor" not in arrays:
            return
        try:
            anchor = Anchor.decode(arrays["anchor"].data)
            anchor.verify()
        except (MalformedEnvelope, BadSignature):
            return  # not authenticated, so its messages are noted under the node's id
        site = facts.get("site", "") if isinstance(facts, Mapping) else ""
        name = site if isinstance(site, str) else ""
        self.links[node] = (name, anchor.link)
        self.journal.note(
            audit.JOINED,
            site=name,
            key=anchor.key.hex(),
            entries=anchor.head.entries,
            head=anchor.head.hash,
            ledger=anchor.ledger.hex(),
            signature=anchor.signature.hex(),
        )

    def _note_message(self, what: str, node: int, kind: str, size: int, digest: bytes) -> None:
        link = self.links[node][1] if node in self.links else b""
        # The key comes with the answer to this request, so the request has an unkeyed digest.
        first = kind == messages.HELLO and what == audit.SENT
        self.journal.note(
            what,
            site=self._site_name(node),
            kind=kind,
            bytes=size,
            digest=link_digest(b"" if first else link, digest),
        )

    def _site_name(self, node: int) -> str:
        return self.links[node][0] if node in self.links else f"node {node}"


class WrappedGrid(Grid):
    """Flower's Grid, to which everything is passed on: a base of grids that add something.

    Args:
        grid: The Grid to wrap.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def set_run(self, run: Any) -> None:  # noqa: ANN401 -- Flower's Run is private
        """Set the run."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:  # noqa: ANN401 -- Flower's Run is private
        """The run."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of the nodes that are there."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send messages; return all replies."""
        return self._grid.send_and_receive(messages, timeout=timeout)


class AuditedGrid(WrappedGrid):
    """Flower's Grid, with every message noted in the audit log.

    Guarantee: a request, and every answer before it, is in the log before the request leaves.

    Args:
        grid: The Grid to wrap.
        trail: The audit trail that notes the messages.
    """

    def __init__(self, grid: Grid, trail: CoordinatorAuditTrail) -> None:
        super().__init__(grid)
        self._trail = trail

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Note messages, then send them."""
        asked = list(messages)
        self._trail.note_sent(asked)
        return self._grid.push_messages(asked)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come, after noting each."""
        replies = []
        for reply in self._grid.pull_messages(message_ids):
            self._trail.note_received(reply)
            replies.append(reply)
        return replies

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Note and send messages; return all replies, after noting each."""
        asked = list(messages)
        self._trail.note_sent(asked)
        replies = list(self._grid.send_and_receive(asked, timeout=timeout))
        for reply in replies:
            self._trail.note_received(reply)
        return replies
