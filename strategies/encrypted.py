"""Encrypted rounds: the coordinator adds what it cannot read, and keeps what proves it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from privacy import messages, sealed_messages, wire
from privacy.envelope import EVALUATION, STATISTICS, TRAINING, SealedState, Slot, UploadLabel
from privacy.errors import ConsortiumError
from privacy.identity import Agreement
from privacy.layout import Layout, Tally
from privacy.opening import Opening
from privacy.parameters import Placement
from privacy.sealed_messages import SealedReply, SealedRound
from privacy.upload import UploadHeader
from strategies.cohort import Cohort
from strategies.events import (
    Observer,
    RoundFinished,
    RoundStarted,
    SiteAnswered,
    SiteQuarantined,
    SitesJoined,
)
from strategies.exchange import Exchange, Traffic
from strategies.key_exchange import KeyExchange
from strategies.replies import Quarantine, ReplyRefused, answered
from strategies.roster import Reception, Roster
from strategies.sealed_gathering import Ballot, Door, Keep, Sums

_OPENINGS = 4


class RoundVoid(ConsortiumError, RuntimeError):
    """A round did not come about in as many attempts as it may have; nothing of it counts."""


class StateDisputed(ReplyRefused):
    """A site signed, or sent, another state than most of the sites."""


class NothingSent(ReplyRefused):
    """A reply lacks the upload that was asked for."""


@dataclass(frozen=True, kw_only=True)
class SealedTerms:
    """What every reply of an encrypted run is held against.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        label: What people call the run.
        agreement: Public identities, openers and the floor.
        buckets: Groups of sites that are added apart.
        num_byzantine: Liars to survive: fewer than twice as many buckets and one void a round.
        attempts: Tries at a round.
        updates: Where an update stands in its ciphertexts, by layout.
        statistics: Where the statistics stand in theirs.
        evaluation: Where evaluation counts stand in theirs.
        header: What stands before an upload's ciphertexts.
    """

    charter: str
    label: str
    agreement: Agreement
    buckets: int
    num_byzantine: int
    attempts: int
    updates: Callable[[Layout], Placement]
    statistics: Placement
    evaluation: Placement
    header: Callable[[UploadLabel, Layout, Placement], UploadHeader]

    @property
    def floor(self) -> int:
        """Fewest sites in a sum."""
        return self.agreement.min_others + 1


@dataclass(frozen=True, kw_only=True)
class SealedProgress:
    """Where an encrypted run ended, as far as the coordinator can know.

    Args:
        layout: Of the federated vector.
        rounds: Rounds that moved the model.
        run: The run id: the digest of its opening.
        model_digest: What more than half of the sites call the final model, hexadecimal.
    """

    layout: Layout
    rounds: int
    run: str
    model_digest: str


@dataclass
class _Round:
    sites: Mapping[int, str]
    began: float
    traffic: Traffic
    replies: dict[str, SealedReply] = field(default_factory=dict)


class Encrypted(Strategy):
    """The round of PROTOCOL.md on Flower's Message API.

    Guarantee: the coordinator holds no secret and reads no update, no tally of one site, nor the
    model; it adds each upload as it arrives, in memory that does not grow with the number of
    sites, and keeps receipts, sums, sealed states and the uploads of the last rounds, from which
    anybody can see whether it added right.

    Args:
        cohort: Who takes part, how many must answer, how long is waited.
        terms: What every reply is held against.
        observe: Told what happens.
        keep: Keeps a file of the coordinator's, durably, before it is acted upon.
    """

    def __init__(
        self, *, cohort: Cohort, terms: SealedTerms, observe: Observer, keep: Keep
    ) -> None:
        self._cohort = cohort
        self._terms = terms
        self._observe = observe
        self._keep = keep
        self._traffic = Traffic()
        self._pending: RoundFinished | None = None
        self._opening: Opening
        self._roster: Roster
        self._round: _Round
        self._sums: dict[str, Sums]
        self._next: SealedRound
        self._models: list[bytes] = []

    def start(  # type: ignore[override]  # a run starts from nothing: no arrays are handed in
        self, grid: Grid, num_rounds: int
    ) -> SealedProgress:
        """Exchange keys, run all rounds, evaluate the final model, and release what may be.

        Raises:
            QuorumNotReached: Too few sites are there.
            RoundVoid: A round did not come about; what was reached is kept.
            NoOpener: Nobody could make or open what the run needs.
        """
        exchange = self._exchange(grid)
        reception = Reception(
            exchange=exchange,
            cohort=self._cohort,
            charter=self._terms.charter,
            max_examples=0,
            observe=self._observe,
        )
        self._roster = reception.join()
        self._tell_joined()
        self._open(exchange)
        for server_round in range(1, num_rounds + 1):
            self._roster = reception.welcome(self._roster, server_round)
            self._train(exchange, server_round)
        self._finalise(exchange, num_rounds + 1)
        self._release(exchange, num_rounds + 2)
        return SealedProgress(
            layout=self._roster.layout,
            rounds=num_rounds,
            run=self._opening.run,
            model_digest=_majority(self._models).hex(),
        )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask this round's cohort; the first is to report its state."""
        present = [site for site in self._roster.sites if site in self._opening.terms.roster]
        cohort = self._cohort.sample(server_round, present)
        return self._ask(messages.TRAIN, cohort, grid, reporters=cohort[:1])

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Add the uploads as they come; return no arrays: there are none to be read."""
        layout = self._roster.layout
        updates = self._door("updates", self._terms.updates(layout), self._terms.buckets)
        counts = self._door("counts", self._terms.evaluation, 1)
        self._sums = {
            TRAINING: self._begun(updates, TRAINING, server_round),
            EVALUATION: self._begun(counts, EVALUATION, server_round),
        }
        self._gather(replies, server_round, wanted=(TRAINING, EVALUATION))
        return None, MetricRecord({"num-sites": len(self._round.replies)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask every site of the run to evaluate the final model."""
        present = [site for site in self._roster.sites if site in self._opening.terms.roster]
        return self._ask(messages.EVALUATE, present, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Add the sealed counts as they come."""
        door = self._door("counts", self._terms.evaluation, 1)
        self._sums = {EVALUATION: self._begun(door, EVALUATION, server_round)}
        self._gather(replies, server_round, wanted=(EVALUATION,))
        self._models = [reply.model for reply in self._round.replies.values() if reply.model]
        return MetricRecord({"num-sites": len(self._round.replies)})

    def summary(self) -> None:
        """Say nothing: the run config and every event are recorded in the run directory."""

    def _exchange(self, grid: Grid) -> Exchange:
        return Exchange(grid=grid, deadline_s=self._cohort.deadline_s, traffic=self._traffic)

    def _tell_joined(self) -> None:
        absent = tuple(name for name in self._cohort.members if name not in self._roster.sites)
        unknown = dict.fromkeys(self._roster.sites, 0)  # a weight shows in the receipts only
        self._observe(SitesJoined(sites=self._roster.sites, absent=absent, weights=unknown))

    def _open(self, exchange: Exchange) -> None:
        """Agree on an epoch, open the run, and count: again with those who answered, if not all."""
        keys = KeyExchange(
            exchange=exchange,
            charter=self._terms.charter,
            openers=self._terms.agreement.openers,
            observe=self._observe,
        )
        sites: Sequence[str] = keys.agree(self._roster)
        lineage = ""
        for _ in range(_OPENINGS):
            self._cohort.require_quorum(sites)
            self._opening, encoded = keys.open_run(
                self._roster, sites, label=self._terms.label, lineage=lineage
            )
            lineage = lineage or self._opening.run
            self._keep("opening.bin", [encoded])
            self._next = SealedRound(
                charter=self._terms.charter, server_round=0, attempt=1, opening=encoded
            )
            if self._statistics(exchange):
                return
            sites = tuple(self._sums[STATISTICS].receipts)
        raise RoundVoid(
            f"the statistics need every site of the run, and {_OPENINGS} openings did not bring "
            "them together; see who was left out",
            openings=_OPENINGS,
        )

    def _statistics(self, exchange: Exchange) -> bool:
        door = self._door("statistics", self._terms.statistics, 1)
        self._sums = {STATISTICS: self._begun(door, STATISTICS, 0)}
        asked = self._ask(messages.STATISTICS, self._opening.terms.roster, exchange.grid)
        self._gather(exchange.replies(asked), 0, wanted=(STATISTICS,))
        if len(self._sums[STATISTICS].receipts) < len(self._opening.terms.roster):
            return False
        receipts, counted = self._sums[STATISTICS].finished(floor=self._terms.floor)
        self._next = replace(self._next, server_round=1, count_receipts=receipts, count_sum=counted)
        return True

    def _train(self, exchange: Exchange, server_round: int) -> None:
        for attempt in range(1, self._terms.attempts + 1):
            self._next = replace(self._next, attempt=attempt)
            content = self._next.content()
            arrays, config = content.array_records[wire.ARRAYS], content.config_records[wire.FACTS]
            asked = self.configure_train(server_round, arrays, config, exchange.grid)
            self.aggregate_train(server_round, exchange.replies(asked))
            if self._came_about():
                break
        else:
            missing = sorted(set(self._opening.terms.roster) - set(self._sums[TRAINING].receipts))
            raise RoundVoid(
                f"round {server_round} did not come about in {self._terms.attempts} attempts: "
                f"{len(self._sums[TRAINING].receipts)} sites answered, missing: "
                f"{', '.join(missing)}. Bring them back and run again",
                attempts=self._terms.attempts,
                came=len(self._sums[TRAINING].receipts),
            )
        self._release_pending()
        self._turn(exchange, server_round)

    def _came_about(self) -> bool:
        training = self._sums[TRAINING]
        voters = training.buckets(floor=self._terms.floor)
        return (
            len(training.receipts) >= self._cohort.quorum
            and len(voters) >= 2 * self._terms.num_byzantine + 1
            and training.agreed_state() is not None
        )

    def _turn(self, exchange: Exchange, server_round: int) -> None:
        """Keep everything of the round, and make the message of the next one."""
        state = self._reported(exchange, server_round)
        self._keep(f"round-{server_round}/state.bin", [state])
        receipts, sums = self._sums[TRAINING].finished(floor=self._terms.floor)
        count_receipts, count_sum = self._counted()
        self._hold(server_round)
        self._next = replace(
            self._next,
            server_round=server_round + 1,
            attempt=1,
            receipts=receipts,
            sums=sums,
            state=state,
            count_receipts=count_receipts,
            count_sum=count_sum,
        )

    def _counted(self) -> tuple[bytes, bytes]:
        """Return receipts and sum of the evaluation; nothing unless every site is in it."""
        counted = self._sums[EVALUATION]
        if len(counted.receipts) < len(self._opening.terms.roster):
            return b"", b""
        return counted.finished(floor=self._terms.floor)

    def _reported(self, exchange: Exchange, server_round: int) -> bytes:
        """Return the sealed state most sites signed, from the first site that has it."""
        training = self._sums[TRAINING]
        agreed = training.agreed_state()
        for site, receipt in sorted(training.receipts.items()):
            if receipt.label.state != agreed:
                self._dispute(server_round, site)
        for site, reply in sorted(self._round.replies.items()):
            if training.receipts[site].label.state == agreed:
                sent = reply.state or self._asked_again(exchange, site)
                if sent and SealedState.decode(sent).digest == agreed:
                    return sent
                self._dispute(server_round, site)
        raise RoundVoid(
            f"no site sent the state that most of them signed in round {server_round}",
            came=len(self._round.replies),
        )

    def _asked_again(self, exchange: Exchange, site: str) -> bytes:
        content = replace(self._next, report=True).content()
        node = self._roster.present[site].node
        group = str(self._next.server_round)
        message = exchange.message(messages.TRAIN, node, content, group=group)
        for reply in exchange.replies([message]):
            with Quarantine(self._observe, self._next.server_round, site):
                return self._read(reply).state
        return b""

    def _dispute(self, server_round: int, site: str) -> None:
        code = StateDisputed("").code
        self._observe(SiteQuarantined(server_round=server_round, site=site, code=code))

    def _finalise(self, exchange: Exchange, server_round: int) -> None:
        content = self._next.content()
        arrays, config = content.array_records[wire.ARRAYS], content.config_records[wire.FACTS]
        asked = self.configure_evaluate(server_round, arrays, config, exchange.grid)
        self.aggregate_evaluate(server_round, exchange.replies(asked))
        self._release_pending()
        self._cohort.require_quorum(list(self._round.replies))
        receipts, counted = self._counted()
        self._hold(server_round)
        self._next = replace(
            self._next,
            server_round=server_round + 1,
            attempt=1,
            receipts=b"",
            sums=b"",
            state=b"",
            count_receipts=receipts,
            count_sum=counted,
        )

    def _release(self, exchange: Exchange, server_round: int) -> None:
        asked = self._ask(
            sealed_messages.RELEASE, self._opening.terms.roster, exchange.grid, told=False
        )
        self._sums = {}
        self._gather(exchange.replies(asked), server_round, wanted=())
        self._release_pending()

    def _ask(
        self,
        kind: str,
        sites: Sequence[str],
        grid: Grid,
        *,
        reporters: Sequence[str] = (),
        told: bool = True,
    ) -> list[Message]:
        exchange = self._exchange(grid)
        nodes = {
            self._roster.present[site].node: site
            for site in sorted(sites)
            if site in self._roster.present
        }
        self._round = _Round(
            sites=nodes,
            began=time.monotonic(),
            traffic=Traffic(self._traffic.down, self._traffic.up),
        )
        server_round = self._next.server_round
        if told:
            self._observe(RoundStarted(server_round=server_round, cohort=tuple(nodes.values())))
        quiet, loud = self._next.content(), replace(self._next, report=True).content()
        return [
            exchange.message(
                kind, node, loud if site in reporters else quiet, group=str(server_round)
            )
            for node, site in nodes.items()
        ]

    def _gather(
        self, replies: Iterable[Message], server_round: int, *, wanted: Sequence[str]
    ) -> None:
        for reply in replies:
            site = self._round.sites[reply.metadata.src_node_id]
            with Quarantine(self._observe, server_round, site):
                self._take(site, self._read(reply), wanted)
                if wanted:
                    self._observe(SiteAnswered(server_round=server_round, site=site))
            del reply

    def _take(self, site: str, sent: SealedReply, wanted: Sequence[str]) -> None:
        parts = {
            TRAINING: (sent.upload, sent.receipt),
            EVALUATION: (sent.count_upload, sent.count_receipt),
            STATISTICS: (sent.count_upload, sent.count_receipt),
        }
        if not all(all(parts[purpose]) for purpose in wanted):
            raise NothingSent("an upload or its receipt is missing")
        checked = [
            (purpose, self._sums[purpose].check(site, *parts[purpose])) for purpose in wanted
        ]
        for purpose, receipt in checked:
            self._sums[purpose].add(parts[purpose][0], receipt)
        self._round.replies[site] = replace(
            sent, upload=b"", receipt=b"", count_upload=b"", count_receipt=b""
        )

    def _read(self, reply: Message) -> SealedReply:
        counts = max(self._terms.evaluation.upload_bytes, self._terms.statistics.upload_bytes)
        return SealedReply.read(
            answered(reply),
            upload_bytes=self._terms.updates(self._roster.layout).upload_bytes,
            count_bytes=counts,
            tally_size=self._terms.evaluation.tally_size,
        )

    def _door(self, name: str, placement: Placement, buckets: int) -> Door:
        layout = self._roster.layout
        return Door(
            name=name,
            placement=placement,
            buckets=buckets,
            header=lambda label: self._terms.header(label, layout, placement),
        )

    def _begun(self, door: Door, purpose: str, server_round: int) -> Sums:
        return Sums(
            door=door,
            slot=Slot(
                run=self._opening.run,
                purpose=purpose,
                server_round=server_round,
                attempt=self._next.attempt,
            ),
            roster=self._terms.agreement.roster(self._opening.terms.roster),
            keep=self._keep,
        )

    def _hold(self, server_round: int) -> None:
        """Hold the round's event back until the members release what they evaluated in it."""
        self._pending = RoundFinished(
            server_round=server_round,
            answered=tuple(sorted(self._round.replies)),
            evaluation=np.zeros(self._terms.evaluation.tally_size, np.int64),
            by_site={},
            bytes_down=self._traffic.down - self._round.traffic.down,
            bytes_up=self._traffic.up - self._round.traffic.up,
            seconds=time.monotonic() - self._round.began,
        )

    def _release_pending(self) -> None:
        """Tell of the last round, with the pooled counts that most sites released for it."""
        if self._pending is None:
            return
        ballot = Ballot()
        for site, reply in sorted(self._round.replies.items()):
            ballot.cast(site, reply)
        elected: Tally | None = ballot.elected()
        if elected is not None:
            self._pending = replace(self._pending, evaluation=elected.copy())
        self._observe(self._pending)
        self._pending = None


def _majority(digests: Sequence[bytes]) -> bytes:
    for digest in set(digests):
        if 2 * digests.count(digest) > len(digests):
            return digest
    return b""
