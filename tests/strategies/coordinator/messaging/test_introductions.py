"""If the charter holds keys, a site must prove its name."""

from dataclasses import replace
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict

from privacy.protocol.membership_proof import Declined, Presence
from privacy.secrets.keys import Identity
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import SiteApp
from strategies.coordinator.messaging.events import Observer, RunEvent, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.refusal_finality import FinalRefusals
from strategies.coordinator.messaging.roster import Reception, Roster
from tests.small_site import LAYOUT, MAX_EXAMPLES, NAMES, SmallSite, cohort_of, grid_of

FIRST = 1001

IDENTITIES = {name: Identity.generate(name) for name in NAMES}
KEYED_CHARTER = "ab" * 32


def proving(name: str, *, identity: Identity | None = None, **claims: str | int | bytes) -> SiteApp:
    """Return a site that signs what it says; `claims` are signed in place of what is true."""
    signer = identity or IDENTITIES[name]

    def app(asked: Message, context: Context) -> Message:
        charter, challenge = messages.read_greeting(asked.content)
        true: dict[str, str | int | bytes] = {
            "charter": bytes.fromhex(charter),
            "run": context.run_id,
            "node": context.node_id,
            "challenge": challenge,
            "site": name,
            "layout": bytes.fromhex(LAYOUT.digest),
            "num_examples": 100,
        }
        signed = Presence(**{**true, **claims})  # type: ignore[arg-type]  # each of its own type
        said = messages.Introduction(
            site=name,
            charter=charter,
            layout=LAYOUT,
            num_examples=100,
            proof=signer.sign(signed.encode()),
        )
        return Message(messages.introduction(said), reply_to=asked)

    return app


def refusing(name: str, *, identity: Identity | None = None, **claims: Any) -> SiteApp:
    """Return a site that signs its refusal; `claims` are signed in place of what is true."""
    signer = identity or IDENTITIES[name]

    def app(asked: Message, context: Context) -> Message:
        charter, challenge = messages.read_greeting(asked.content)
        true = {
            "charter": bytes.fromhex(charter),
            "run": context.run_id,
            "node": context.node_id,
            "challenge": challenge,
            "site": name,
            "code": "bad-table",
            "counts": {"rows": 3},
        }
        proof = signer.sign(Declined(**{**true, **claims}).encode())
        refusal = wire.refusal_of("bad-table", {"rows": 3}, site=name)
        return Message(wire.proven_refusal(refusal, proof), reply_to=asked)

    return app


def claiming(name: str) -> SiteApp:
    """Return a node that refuses in the name of a site, and signs nothing."""

    def app(asked: Message, _context: Context) -> Message:
        return Message(wire.refusal_of("bad-table", {"rows": 3}, site=name), reply_to=asked)

    return app


def joined(
    sites: list[SiteApp], *, left_out: frozenset[str] = frozenset(), observe: Observer | None = None
) -> tuple[Roster, list[tuple[str, str]]]:
    """Return who joined, and name and code of who was turned away."""
    told: list[RunEvent] = []
    publics = {name: identity.public for name, identity in IDENTITIES.items()}
    reception = Reception(
        exchange=Exchange(grid=grid_of(sites), deadline_s=0.0),
        cohort=replace(
            cohort_of([name for name in NAMES if name not in left_out]),
            identities=publics,
            left_out=left_out,
        ),
        charter=KEYED_CHARTER,
        max_examples=MAX_EXAMPLES,
        observe=observe or told.append,
    )
    roster = reception.await_members()
    away = [(event.site, event.code) for event in told if isinstance(event, SiteQuarantined)]
    return roster, away


def test_who_proves_a_name_has_it() -> None:
    roster, away = joined([proving(name) for name in NAMES])
    assert roster.sites == NAMES
    assert away == []


LIES: dict[str, SiteApp] = {
    "a name alone": SmallSite(name="east", charter=KEYED_CHARTER),
    "another member's key": proving("east", identity=IDENTITIES["west"]),
    "a key of nobody": proving("east", identity=Identity.generate("east")),
    "another node": proving("east", node=FIRST + 3),
    "another run": proving("east", run=999),
    "another charter": proving("east", charter=b"c" * 32),
    "another challenge": proving("east", challenge=b"c" * 32),
    "another layout": proving("east", layout=b"c" * 32),
    "other examples": proving("east", num_examples=1),
}


@pytest.mark.parametrize("liar", LIES.values(), ids=LIES)
def test_who_does_not_prove_a_name_does_not_get_it_nor_keep_it_from_its_owner(
    liar: SiteApp,
) -> None:
    """The liar is asked first; the site it would be comes last."""
    owners = [proving(name) for name in ("north", "south", "west", "east")]
    roster, away = joined([liar, *owners])
    assert roster.sites == NAMES
    assert roster.present["east"].node == FIRST + 4
    assert away == [("node 1001", "not-the-site")]


def test_a_proof_is_good_for_once() -> None:
    """The proof that a site signed for one challenge is replayed for the next."""
    kept: list[RecordDict] = []

    def replaying(asked: Message, context: Context) -> Message:
        if not kept:
            kept.append(proving("east")(asked, context).content)
        return Message(kept[0], reply_to=asked)

    assert joined([replaying, proving("north")])[0].sites == ("east", "north")
    roster, away = joined([replaying, proving("north")])
    assert roster.sites == ("north",)
    assert away == [("node 1001", "not-the-site")]


REFUSED = "site-refused.bad-table"
OTHERS = ("north", "south", "west")

SLANDERS: dict[str, SiteApp] = {
    "a name alone": claiming("east"),
    "another member's key": refusing("east", identity=IDENTITIES["west"]),
    "a key of nobody": refusing("east", identity=Identity.generate("east")),
    "another node": refusing("east", node=FIRST + 3),
    "another run": refusing("east", run=999),
    "another charter": refusing("east", charter=b"c" * 32),
    "another challenge": refusing("east", challenge=b"c" * 32),
    "another site": refusing("east", site="west"),
    "another code": refusing("east", code="budget-exhausted"),
    "other counts": refusing("east", counts={"rows": 4}),
}


def test_who_signs_its_refusal_is_left_out_for_it_by_name() -> None:
    roster, away = joined([refusing("east"), *map(proving, OTHERS)])
    assert roster.sites == OTHERS
    assert away == [("east", REFUSED)]


@pytest.mark.parametrize("slander", SLANDERS.values(), ids=SLANDERS)
def test_no_node_puts_a_reason_for_the_absence_of_another_site_into_the_record(
    slander: SiteApp,
) -> None:
    """The site is away: only its own signature says why."""
    roster, away = joined([slander, *map(proving, OTHERS)])
    assert roster.sites == OTHERS
    assert away == [("node 1001", REFUSED)]


@pytest.mark.parametrize("name", ["", "nobody"])
def test_a_refusal_in_the_name_of_no_member_names_the_node(name: str) -> None:
    roster, away = joined([claiming(name), *map(proving, OTHERS)])
    assert roster.sites == OTHERS
    assert away == [("node 1001", REFUSED)]


def test_a_refusal_without_the_form_of_one_names_the_node() -> None:
    """The name of a site in it counts for nothing, and nobody else's run ends."""

    def shapeless(asked: Message, context: Context) -> Message:
        content = claiming("east")(asked, context).content
        content.config_records[wire.REFUSAL]["count.rows"] = "three"
        return Message(content, reply_to=asked)

    roster, away = joined([shapeless, *map(proving, OTHERS)])
    assert roster.sites == OTHERS
    assert away == [("node 1001", "malformed-record")]


def test_a_refusal_that_a_site_signed_is_no_reason_in_another_run() -> None:
    kept: list[RecordDict] = []

    def replaying(asked: Message, context: Context) -> Message:
        if not kept:
            kept.append(refusing("east")(asked, context).content)
        return Message(kept[0], reply_to=asked)

    sites = [replaying, *map(proving, OTHERS)]
    assert joined(sites)[1] == [("east", REFUSED)]
    assert joined(sites)[1] == [("node 1001", REFUSED)]


def test_a_refusal_that_a_site_signed_may_be_final_for_it() -> None:
    known = FinalRefusals(lambda _event: None)
    joined([refusing("east"), *map(proving, OTHERS)], observe=known)
    assert known.sites == {"east"}
    known = FinalRefusals(lambda _event: None)
    joined([claiming("east"), *map(proving, OTHERS)], observe=known)
    assert "east" not in known.sites


@pytest.mark.parametrize("app", [proving("east"), refusing("east")], ids=["comes", "refuses"])
def test_a_site_that_is_left_out_by_name_is_turned_away_without_a_reason(app: SiteApp) -> None:
    """The reason is that the run was started without it; there is no other."""
    roster, away = joined([app, *map(proving, OTHERS)], left_out=frozenset({"east"}))
    assert roster.sites == OTHERS
    assert away == []


def test_a_node_that_claims_to_be_a_site_that_is_left_out_is_told() -> None:
    liars = [proving("east", identity=IDENTITIES["west"]), claiming("east")]
    _, away = joined([*liars, *map(proving, OTHERS)], left_out=frozenset({"east"}))
    assert away == [("node 1001", "not-the-site"), ("node 1002", REFUSED)]
