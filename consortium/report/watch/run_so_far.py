"""What the events of a run say so far, kept event by event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consortium.run.records import QuarantineRecord
from strategies.coordinator.messaging.events import (
    BucketRefused,
    RoundFinished,
    RoundStarted,
    SiteAnswered,
    SiteQuarantined,
    SitesJoined,
    SiteUnchanged,
    SumConfirmed,
)


@dataclass(frozen=True, kw_only=True)
class FinishedRound:
    """A round that moved the model, or the evaluation at the end.

    Args:
        server_round: Its number, from 1.
        sites: How many sites answered.
        seconds: How long it took.
        bytes: What was sent and received, in bytes.
        at_s: When it ended, in seconds since the run began.
    """

    server_round: int
    sites: int
    seconds: float
    bytes: int
    at_s: float


@dataclass
class RunSoFar:
    """What is known of a run from its events.

    Memory holds names, codes and one line for each round; no figure of a model is kept.

    Args:
        started: When the run began, ISO 8601; empty before that.
        at_s: When the last event came, in seconds since then.
        joined: The sites that joined or were asked.
        server_round: The last round that began; None before one did.
        cohort: Who was asked in it.
        answered: Whose answer to it was accepted.
        left_out: Who is left out of it, with the reason.
        refusals: All reasons for which sites were left out, in order.
        refused_sums: Sentences on sums that sites refused or did not confirm, in order.
        rounds: The finished rounds by their number.
        rounds_began_s: When the first round of training began.
        sums_bytes: Bytes of the exchanges in which sums were confirmed.
        failure: Code and text of the error that ended the run; empty if none did.
    """

    started: str = ""
    at_s: float = 0.0
    joined: set[str] = field(default_factory=set)
    server_round: int | None = None
    cohort: tuple[str, ...] = ()
    answered: set[str] = field(default_factory=set)
    left_out: dict[str, QuarantineRecord] = field(default_factory=dict)
    refusals: list[QuarantineRecord] = field(default_factory=list)
    refused_sums: list[str] = field(default_factory=list)
    rounds: dict[int, FinishedRound] = field(default_factory=dict)
    rounds_began_s: float | None = None
    sums_bytes: int = 0
    failure: str = ""

    @property
    def has_joined(self) -> bool:
        """Whether it is known who is in the run."""
        return bool(self.joined)

    @property
    def bytes(self) -> int:
        """What was sent and received in all rounds that are kept, in bytes."""
        return self.sums_bytes + sum(one.bytes for one in self.rounds.values())

    def note(self, event: Mapping[str, Any]) -> None:
        """Take in the next event; one of an unknown kind changes nothing but the time."""
        self.at_s = float(event.get("at_s", self.at_s))
        match event:
            case {"event": SitesJoined.kind, "sites": sites}:
                self.joined.update(sites)
            case {"event": RoundStarted.kind, "server_round": at, "cohort": cohort}:
                self._begin_round(int(at), tuple(cohort))
            case {"event": SiteAnswered.kind | SiteUnchanged.kind, "site": site}:
                self.answered.add(site)
                # In a buffered run a site answers in a later round than it was asked in.
                self.cohort += () if site in self.cohort else (site,)
                self.left_out.pop(site, None)
            case {"event": SiteQuarantined.kind}:
                self._leave_out(event)
            case {"event": RoundFinished.kind, "server_round": at}:
                self._finish_round(int(at), event)
            case _:
                self._note_sum(event)
                self._note_course(event)

    def _begin_round(self, server_round: int, cohort: tuple[str, ...]) -> None:
        """Begin a round, or another attempt at it, which voids the answers of the one before."""
        self.left_out = {
            site: why
            for site, why in self.left_out.items()
            if why.server_round == server_round and site not in cohort
        }
        self.server_round, self.cohort = server_round, cohort
        self.answered.clear()
        self.joined.update(cohort)
        if server_round and self.rounds_began_s is None:
            self.rounds_began_s = self.at_s

    def _leave_out(self, event: Mapping[str, Any]) -> None:
        fields = QuarantineRecord.model_fields.keys() & event.keys()
        found = QuarantineRecord.model_validate({name: event[name] for name in fields})
        self.refusals.append(found)
        self.left_out[found.site] = found
        self.answered.discard(found.site)

    def _finish_round(self, server_round: int, event: Mapping[str, Any]) -> None:
        self.answered = set(event["answered"])
        self.rounds[server_round] = FinishedRound(
            server_round=server_round,
            sites=len(self.answered),
            seconds=float(event["seconds"]),
            bytes=event["bytes_down"] + event["bytes_up"],
            at_s=self.at_s,
        )

    def _note_course(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "run-started", "started": started}:
                self.started = started
            case {"event": "run-resumed", "server_round": first}:
                self.failure = ""
                self.rounds = {at: one for at, one in self.rounds.items() if at < first}
            case {"event": "run-failed", "code": code, "text": text}:
                self.failure = f"{code}: {text}"

    def _note_sum(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": BucketRefused.kind, "server_round": at, "bucket": bucket}:
                among = ", ".join(event["sites"])
                self.refused_sums.append(
                    f"round {at}: most sites refused the sum of bucket {bucket}, over {among}"
                )
            case {"event": SumConfirmed.kind, "server_round": at, "refused": refused}:
                self.sums_bytes += event["bytes_down"] + event["bytes_up"]
                self.refused_sums += [
                    f"round {at}: {site} did not confirm a sum ({code})"
                    for site, code in refused.items()
                ]
