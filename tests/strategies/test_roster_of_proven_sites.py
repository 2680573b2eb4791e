"""If the charter holds keys, a site must prove its name."""

from dataclasses import replace

import pytest
from flwr.app import Context, Message, RecordDict

from privacy.protocol.membership_proof import Presence
from privacy.secrets.keys import Identity
from privacy.wire import messages
from scenarios.engines.in_process import SiteApp
from strategies.coordinator.messaging.events import RunEvent, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
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


def joined(sites: list[SiteApp]) -> tuple[Roster, list[tuple[str, str]]]:
    """Return who joined, and name and code of who was turned away."""
    told: list[RunEvent] = []
    publics = {name: identity.public for name, identity in IDENTITIES.items()}
    reception = Reception(
        exchange=Exchange(grid=grid_of(sites), deadline_s=0.0),
        cohort=replace(cohort_of(), identities=publics),
        charter=KEYED_CHARTER,
        max_examples=MAX_EXAMPLES,
        observe=told.append,
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
