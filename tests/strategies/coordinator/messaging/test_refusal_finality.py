"""A refusal is final if the same question would be refused again: declared once, for every code."""

import importlib
import pkgutil

from hypothesis import given
from hypothesis import strategies as st

import strategies
from consortium.wording.refusals import SITE_REFUSED, told_codes
from privacy.differential.budget import BudgetExhausted
from privacy.policy.violations import PolicyViolation
from sites.data.validation import BadTable, MissingColumns
from strategies.coordinator.messaging.events import (
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
    SiteUnchanged,
)
from strategies.coordinator.messaging.refusal_finality import (
    FINAL_AT_THE_SITE,
    FINAL_BY_THE_COORDINATOR,
    FinalRefusals,
    is_final,
)
from strategies.coordinator.messaging.reply_validation import ReplyRefused, Silent

# Who adds a code decides here whether it may pass.
# A connection, an hour, a rate, a full disk, a message that was altered on its way, a step of the
# key exchange that the next opening repeats.
PASSING_FOR_THE_COORDINATOR = frozenset(
    {
        "another-cohort",
        "another-set-confirmed",
        "bad-compression",
        "bad-signature",
        "foreign-pair-secret",
        "hub-away",
        "hub-sum-refused",
        "impossible-tally",
        "malformed-ciphertext",
        "malformed-envelope",
        "malformed-record",
        "name-taken",
        "never-came",
        "node-failed",
        "node-gone",
        "non-finite-update",
        "not-attested",
        "not-the-site",
        "nothing-sent",
        "pair-secret-disputed",
        "shares-unreadable",
        "silent",
        "state-disputed",
        "sum-out-of-bounds",
        "tally-out-of-range",
        "terms-altered",
        "unreadable",
        "unusable-keys",
        "updates-refused",
        "weights-refused",
        "wrong-attempt",
        "wrong-bucket",
        "wrong-bundle",
        "wrong-commitment",
        "wrong-delivery",
        "wrong-opening",
        "wrong-pair-keys",
        "wrong-purpose",
        "wrong-round",
        "wrong-run",
        "wrong-share",
        "wrong-weight-class",
    }
)
PASSING_AT_THE_SITE = frozenset(
    {
        "already-answered",
        "another-cohort",
        "another-final-state",
        "another-set-confirmed",
        "answer-forgotten",
        "bad-compression",
        "audit-log-unavailable",
        "bad-signature",
        "cannot-open",
        "checksum-failed",
        "confirmed-twice",
        "duplicate-member",
        "foreign-pair-secret",
        "helper-died",
        "key-burned",
        "ledger-not-compared",
        "malformed-record",
        "mask-not-joined",
        "memory-unavailable",
        "no-bucket-draw",
        "no-epoch",
        "no-final-state",
        "no-majority",
        "nothing-new",
        "not-a-witness",
        "not-an-opener",
        "not-released",
        "opening-already-accepted",
        "outside-hours",
        "own-pair-key-missing",
        "pair-secrets-missing",
        "policy-unreadable",
        "query-failed",
        "receipt-altered",
        "receipt-missing",
        "rolled-back",
        "roster-incomplete",
        "set-altered",
        "site-error",
        "stale-epoch",
        "states-differ",
        "stopped",
        "sum-altered",
        "sums-missing",
        "terms-altered",
        "too-few-buckets",
        "too-few-confirmations",
        "too-few-others",
        "too-many-openings",
        "too-often",
        "traffic-unavailable",
        "wrong-commitment",
        "wrong-descriptor",
        "wrong-epoch",
        "wrong-pair-keys",
        "wrong-share",
        "wrong-state",
    }
)


def test_every_refusal_that_is_told_is_final_or_passes_and_never_both() -> None:
    seen, said = told_codes()
    assert {*FINAL_BY_THE_COORDINATOR, *PASSING_FOR_THE_COORDINATOR} == seen
    assert {*FINAL_AT_THE_SITE, *PASSING_AT_THE_SITE} == said
    assert not FINAL_BY_THE_COORDINATOR & PASSING_FOR_THE_COORDINATOR
    assert not FINAL_AT_THE_SITE & PASSING_AT_THE_SITE


def test_every_refusal_of_a_policy_and_of_a_reply_is_told() -> None:
    """So that no such code is missing from both tables."""
    for module in pkgutil.walk_packages(strategies.__path__, "strategies."):
        importlib.import_module(module.name)
    seen, said = told_codes()
    assert {kind.code for kind in PolicyViolation.__subclasses__()} <= said
    prefix = SITE_REFUSED.removesuffix(".")
    refused = {
        kind.code
        for kind in ReplyRefused.__subclasses__()
        if kind.__module__.startswith("strategies.")  # tests have some of their own
    }
    assert refused - {prefix} <= seen


def test_budget_and_schema_are_final_and_silence_is_not() -> None:
    for kind in (BudgetExhausted, BadTable, MissingColumns):
        assert is_final(SITE_REFUSED + kind.code)
        assert not is_final(kind.code), "as the coordinator's own finding it is none"
    assert not is_final(Silent.code)
    assert not is_final(SITE_REFUSED + "of-a-later-version")


answers = st.tuples(
    st.sampled_from(["east", "west"]),
    st.sampled_from(["answers", "silent", SITE_REFUSED + BudgetExhausted.code]),
)


def test_a_site_with_nothing_new_has_not_refused() -> None:
    known = FinalRefusals(lambda _event: None)
    known(SiteQuarantined(server_round=1, site="east", code="site-refused.bad-plan"))
    assert known.sites == {"east"}
    known(SiteUnchanged(server_round=2, site="east"))
    assert known.sites == set()


@given(happened=st.lists(answers))
def test_the_last_word_of_a_site_decides(happened: list[tuple[str, str]]) -> None:
    told: list[RunEvent] = []
    known = FinalRefusals(told.append)
    for site, what in happened:
        known(
            SiteAnswered(server_round=1, site=site)
            if what == "answers"
            else SiteQuarantined(server_round=1, site=site, code=what)
        )
    last = dict(happened)
    assert known.sites == {site for site, what in last.items() if is_final(what)}
    assert len(told) == len(happened)
