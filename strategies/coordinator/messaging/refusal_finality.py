"""Which refusals are final: the same question would be refused again until a person acts.

Every other one may pass: that of a connection, an hour, a rate, a full disk, a message that was
altered on its way, and that of a later version. A site's own code comes with the prefix
`site-refused.`.
"""

from dataclasses import dataclass, field

from strategies.coordinator.messaging.events import (
    Observer,
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
    SiteUnchanged,
)
from strategies.coordinator.messaging.reply_validation import SiteRefused

FINAL_BY_THE_COORDINATOR = frozenset(
    {
        "layout-mismatch",
        "not-a-member",
        "not-in-roster",
        "two-commitments",
        "unusable-pair-key",
        "wrong-charter",
        "wrong-layout",
    }
)
FINAL_AT_THE_SITE = frozenset(
    {
        # what it has
        "bad-annotations",
        "bad-sentences",
        "bad-charter",
        "bad-cdm-rows",
        "bad-config",
        "bad-fhir-map",
        "bad-omop-map",
        "bad-resources",
        "bad-site",
        "bad-table",
        "bad-texts",
        "broken-file",
        "broken-iob",
        "check-alarm",
        "empty-site",
        "empty-table",
        "exposed-secret",
        "ledger-broken",
        "ledger-rolled-back",
        "memory-damaged",
        "missing-columns",
        "missing-file",
        "missing-library",
        "no-such-period",
        "other-encoder",
        "other-map",
        "other-texts",
        "out-of-bounds",
        "period-changed",
        "period-waits",
        "person-changed-sides",
        "person-on-both-sides",
        "secret-missing",
        "side-key-replaced",
        "slow-tokenizer",
        "tally-overflow",
        "too-few-left-out",
        "unclear-marks",
        "undeclared-category",
        "unfit-encoder",
        "unfit-schema",
        "unknown-encoder",
        "unknown-format",
        "unknown-side",
        "unreadable-source",
        "wrong-separator",
        # what it was asked for
        "another-roster",
        "bad-plan",
        "bad-reading",
        "bad-score-bins",
        "continued-elsewhere",
        "evaluated-before",
        "impossible-state",
        "ledger-restored",
        "non-finite-predictions",
        "other-buckets",
        "other-charter",
        "other-commitments",
        "other-set-confirmed",
        "other-settings",
        "other-sites",
        "pair-key-unknown",
        "pair-key-used",
        "round-confirmed",
        "run-forgotten",
        "run-went-on",
        "state-not-held",
        "too-few-remain",
        "too-many-draws",
        "training-diverged",
        "two-pair-secrets",
        "unclippable-model",
        "unreadable-pair-secret",
        "unusable-pair-key",
        # what its policy and its ledger allow
        "budget-exhausted",
        "columns-not-allowed",
        "crowd-too-small",
        "encryption-required",
        "epsilon-too-large",
        "layout-not-allowed",
        "learner-not-allowed",
        "model-not-allowed",
        "not-approved",
        "outside-charter",
        "privacy-required",
        "question-not-allowed",
        "task-not-allowed",
        "too-few-examples",
        "too-many-bytes",
        "too-many-evaluations",
        "too-many-rounds",
        "weaker-unit",
    }
)


def is_final(code: str) -> bool:
    """Return whether a site would refuse the same question again, whenever it is asked."""
    prefix, dot, said = code.partition(".")
    if dot and prefix == SiteRefused.code:
        return said in FINAL_AT_THE_SITE
    return code in FINAL_BY_THE_COORDINATOR


@dataclass(frozen=True, kw_only=True)
class SiteClaimed(SiteQuarantined):
    """A node refused to introduce itself, in the name of this site; it did not prove the name."""


@dataclass
class FinalRefusals:
    """An observer that knows whose last answer was a final refusal, and tells another observer.

    Guarantee: no node speaks for a site that it has not proved to be.

    Args:
        observe: Receives every event.
    """

    observe: Observer
    sites: set[str] = field(default_factory=set)

    def __call__(self, event: RunEvent) -> None:
        """Note an event, and pass it on."""
        match event:
            case SiteClaimed(site=site):
                # Or a node that claims the name of a site that is away would end the run for all.
                self.sites.discard(site)
            case SiteQuarantined(site=site, code=code) if is_final(code):
                self.sites.add(site)
            case SiteQuarantined(site=site) | SiteAnswered(site=site) | SiteUnchanged(site=site):
                self.sites.discard(site)
        self.observe(event)
