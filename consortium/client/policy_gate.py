"""The gate of a site: what its policy lets in, and the closed list of what may leave.

The gate stands outside of everything else at a site. It trusts neither the coordinator nor the
app behind it: what leaves is compared with what may, whoever made it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict

from consortium.charter.document import Charter
from consortium.client.egress_schema import ReplyForm, Sizes
from consortium.client.site_modes import at_site, reply_forms
from consortium.config import ENCODER, RunConfig
from consortium.modes.registry import mode_of
from consortium.protocol.learning import learner_of
from consortium.protocol.round_counts import num_evaluations
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.contribution import LARGEST_ENTRY
from privacy.errors import ConsortiumError
from privacy.policy.document import Policy, PolicyUnreadable, read_policy
from privacy.policy.kill_switch import require_allowed
from privacy.policy.rate_limits import NO_ROUND, Coming, RateLimits, TrafficUnavailable
from privacy.policy.refusal_windows import RefusalWindows
from privacy.policy.run_request import Asked, check_run_request
from privacy.policy.violations import NotReleased, PolicyViolation, QuestionNotAllowed
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.wire import comparison_messages, draw_messages, mask_messages, messages
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from sites.schema.tables import Schema
from sites.task import SiteData, Task

_OF_RECORDS = frozenset({messages.STATISTICS, messages.TRAIN, messages.EVALUATE})
# Kinds that a policy does not name: each is allowed with another one that every run needs.
_ALLOWED_WITH = {
    comparison_messages.ATTEST: messages.HELLO,
    comparison_messages.COMPARE: messages.HELLO,
    draw_messages.COMMIT: sealed_messages.EPOCH,
    draw_messages.REVEAL: sealed_messages.EPOCH,
    draw_messages.DRAW: sealed_messages.EPOCH,
    mask_messages.PAIR_KEYS: sealed_messages.EPOCH,
    mask_messages.PAIR: sealed_messages.EPOCH,
    mask_messages.PAIR_SECRETS: sealed_messages.EPOCH,
    mask_messages.CONFIRM: sealed_messages.EPOCH,
}
# Codes whose counts are of policy and question alone.
_ITS_OWN = frozenset({"budget-exhausted", "two-pair-secrets", "unreadable-pair-secret"})


@dataclass(frozen=True)
class Passage:
    """A question that was let in.

    Args:
        kind: Flower's message type.
        coming: What was counted of it.
        number: Under which number.
    """

    kind: str
    coming: Coming
    number: int


@dataclass(frozen=True, eq=False)
class PolicyGate:
    """The gate of one site in one run.

    Args:
        site: The site.
        policy: Its policy, as it is now.
        traffic: How often it was asked.
        clock: Seconds since 1970; a test may pass its own.
    """

    site: Site
    policy: Policy
    traffic: RateLimits = field(repr=False)
    clock: Callable[[], float] = time.time

    @cached_property
    def asked(self) -> Asked:
        """What the run asks of the site."""
        asked = asked_of(self.site.run_config, self.site.charter, self.site.task)
        return replace(asked, data_set=self.site.config.data_set)

    @cached_property
    def reply_forms(self) -> dict[str, ReplyForm]:
        """What may leave, by kind of question."""
        site = self.site
        sizes = sizes_of(site.task, site.charter, site.run_config)
        return dict(reply_forms(site.config.name, site.charter, site.run_config, sizes))

    def admit(self, message: Message) -> Passage:
        """Let a question in, if the policy allows it; count it.

        Raises:
            PolicyViolation: It does not.
            ConsortiumError: The site's records cannot be read.
        """
        kind, now = message.metadata.message_type, self.clock()
        self._require_door(kind, now)
        coming = Coming(at=now, run=str(message.metadata.run_id), server_round=_round(message))
        # Counted before the run is judged, so that a coordinator cannot try out for free what the
        # policy would accept.
        number = self.traffic.admit(coming, self.policy)
        self.site.mode.require_agreed(self.site.run_config, self.site.charter)
        # Records are loaded only below: a run that the policy refuses never gets so far.
        check_run_request(self.policy, self.asked)
        if kind not in self.reply_forms:
            raise QuestionNotAllowed("such a run has no question of this kind")
        # The introduction asks too: a site with too few records does not join a run only to refuse
        # its first question.
        if kind == messages.HELLO or kind in _OF_RECORDS:
            self.policy.require_examples(self.site.data.train_examples)
        return Passage(kind, coming, number)

    def refused_again(self, message: Message) -> PolicyViolation | None:
        """Return why a question is refused at the door, if that was told before in this hour.

        Guarantee: then it is counted, and nothing else need be written of it.

        Raises:
            ConsortiumError: The site's database cannot be read.
        """
        kind, now = message.metadata.message_type, self.clock()
        try:
            self._require_door(kind, now)
            self.traffic.require_questions(now, self.policy)
        except PolicyViolation as error:
            # The run and the kind are the peer's own words; so many are told in full, and no more.
            asked = f"{error.code} {message.metadata.run_id} {kind!a}"
            return None if self.refusals.is_told(asked, now) else error
        return None

    @property
    def refusals(self) -> RefusalWindows:
        """What was refused at the door, and is told together."""
        return RefusalWindows(SiteDirectory(self.site.directory).traffic)

    def _require_door(self, kind: str, now: float) -> None:
        """Check what is asked of any question, before it is counted."""
        # The kill switch comes first, before anything is counted or read from the records.
        require_allowed(self.site.directory)
        # What members tell each other before a run belongs to their introduction, or to their keys.
        asked = _ALLOWED_WITH.get(kind, kind)
        self.policy.require_question(asked.removeprefix("query."))
        self.policy.require_hours(datetime.fromtimestamp(now, UTC))

    def release(self, passage: Passage, reply: Message) -> RecordDict:
        """Return the content of an answer, if all of it is on the list of what may leave.

        Raises:
            PolicyViolation: It is not, or there is no room for it, or all was stopped since.
        """
        # Asked again: an answer that was under way when everything was stopped does not leave.
        require_allowed(self.site.directory)
        if not reply.has_content():
            raise NotReleased("an answer has a content")
        content = reply.content
        if wire.REFUSAL in content:
            return content  # what may leave of a refusal is decided in one place, `refusal`
        arrays, facts = self.reply_forms[passage.kind].require(content)
        half = at_site(self.site.run_config)
        half.require_releasable(self.site, self.policy.releases, passage.kind, (arrays, facts))
        # Bytes are counted last: an answer that may not leave uses up no room.
        size = wire.num_bytes(content)
        self.traffic.count_bytes(passage.number, passage.coming, size, self.policy)
        return content

    def refusal(self, content: RecordDict) -> RecordDict:
        """Return a refusal with what may leave of it: a known code, and counts if allowed.

        Raises:
            NotReleased: It is not one.
        """
        try:
            read = wire.read_refusal(content)
        except wire.MalformedRecord as error:
            raise NotReleased("a refusal is a code and counts, and nothing else") from error
        # A code of the app's own making would be free text, and text may quote a record.
        if read is None or set(content) != {wire.REFUSAL} or read[0] not in _codes():
            raise NotReleased("a refusal has a code that the project knows")
        code, counts = read
        told = counts if self.policy.releases.refusal_counts or code in _own_codes() else {}
        # A whole number without a bound could carry as much as a text.
        if any(abs(count) >= LARGEST_ENTRY for count in told.values()):
            raise NotReleased("a refusal's count is below 2**41 in size")
        # Made anew: nothing of the record that the app filled in goes on.
        return wire.refusal_of(code, told, site=self.site.config.name)


def refusal_of(site: Site, content: RecordDict) -> RecordDict:
    """Return a refusal with what may leave of it; without a policy, its code alone."""
    try:
        return gate_of(site).refusal(content)
    except (PolicyUnreadable, TrafficUnavailable) as error:
        return wire.refusal_of(error.code, {}, site=site.config.name)


def asked_of(config: RunConfig, charter: Charter, task: Task[SiteData]) -> Asked:
    """Return what a run asks of each of its sites."""
    mode, learner = mode_of(config), learner_of(charter, config)
    return Asked(
        task=charter.task,
        learner=learner.name,
        model=_trained_model(config, charter),
        columns=charter.table.columns,
        dim=task.layout.dim,
        layout=task.layout.digest,
        encrypted=not mode.coordinator_reads,
        crowd=mode.crowd(config, charter),
        rounds=config.num_server_rounds,
        evaluations=num_evaluations(config, charter),
        message_bytes=at_site(config).largest_bytes(
            charter, config, sizes_of(task, charter, config)
        ),
        # What is counted of a later period has no noise, whatever the training had.
        privacy=None if config.period else config.privacy.offered,
        noisy_instead=learner.noisy_instead,
    )


def _trained_model(config: RunConfig, charter: Charter) -> str:
    """Return what a policy calls the model that a run trains; empty if the run counts."""
    if learner_of(charter, config).contribution.exact:
        return ""
    return config.table_model.name if isinstance(charter.table, Schema) else ENCODER


def sizes_of(task: Task[SiteData], charter: Charter, config: RunConfig) -> Sizes:
    """Return how large the parts of a run of a task are."""
    return Sizes(
        layout=task.layout,
        statistics=task.statistics.layout.size,
        evaluation=task.evaluation.layout.size,
        contribution=learner_of(charter, config).contribution,
    )


_TRAFFIC: Cache[Path, RateLimits] = SITE_PROCESS.cache(
    "traffic", most=1_024, close=lambda traffic: traffic.close()
)
_GATES: Cache[Path, PolicyGate] = SITE_PROCESS.cache("policy gates", most=1_024)


def gate_of(site: Site) -> PolicyGate:
    """Return the gate of a site, by its policy as it is at this moment.

    Raises:
        PolicyUnreadable: The site has no policy.
        TrafficUnavailable: The site's database cannot be opened.
    """
    policy = read_policy(site.directory)
    traffic = _TRAFFIC.get(
        site.directory, lambda: RateLimits(SiteDirectory(site.directory).traffic)
    )

    # The policy is read for each message; a gate of an earlier policy must not be used again.
    def fits(gate: PolicyGate) -> bool:
        return gate.site is site and gate.policy is policy and gate.traffic is traffic

    return _GATES.get(site.directory, lambda: PolicyGate(site, policy, traffic), fits=fits)


def _round(message: Message) -> int:
    """Return the round that a question says it trains."""
    if message.metadata.message_type != messages.TRAIN:
        return NO_ROUND
    facts = message.content.get(wire.FACTS)
    said = facts.get("round") if isinstance(facts, ConfigRecord) else None
    # What is no round counts as round 0, so that a malformed question uses up the limits, too.
    return said if type(said) is int and 0 <= said < 2**31 else 0


def _codes() -> frozenset[str]:
    return frozenset(kind.code for kind in _kinds(ConsortiumError))


def _own_codes() -> frozenset[str]:
    return _ITS_OWN | {kind.code for kind in _kinds(PolicyViolation)}


def _kinds(kind: type[ConsortiumError]) -> Iterator[type[ConsortiumError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)
