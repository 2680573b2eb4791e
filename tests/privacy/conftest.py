"""Fixtures: four members, their agreement, an epoch, a run and its first round."""

from collections.abc import Callable

import pytest

from privacy.identity.public_identity import Agreement
from privacy.protocol.envelope import TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import Expected
from privacy.secrets.key_exchange import NewEpoch, RunPlan, make_opening, rotate_epoch
from privacy.secrets.keys import Identity, RunKeys

NAMES = ("east", "north", "south", "west")


@pytest.fixture(scope="session")
def identities() -> dict[str, Identity]:
    return {name: Identity.generate(name) for name in NAMES}


@pytest.fixture(scope="session")
def agreement(identities: dict[str, Identity]) -> Agreement:
    """East opens runs, then north; the floor is two others."""
    members = tuple(identity.public for identity in identities.values())
    return Agreement(charter=b"\x01" * 32, members=members, openers=("east", "north"))


@pytest.fixture(scope="session")
def epoch(identities: dict[str, Identity], agreement: Agreement) -> NewEpoch:
    return rotate_epoch(identities["east"], agreement=agreement, last_epoch=4)


@pytest.fixture(scope="session")
def opening(identities: dict[str, Identity], agreement: Agreement, epoch: NewEpoch) -> Opening:
    return make_opening(
        RunPlan(label="bank-credit", descriptor=b"\x02" * 32, roster=NAMES),
        b"the scheme's secret key",
        opener=identities["east"],
        agreement=agreement,
        secret=epoch.secret,
    )


@pytest.fixture(scope="session")
def keys(epoch: NewEpoch, opening: Opening) -> RunKeys:
    return epoch.secret.run_keys(charter=opening.terms.charter, run=opening.run)


@pytest.fixture(scope="session")
def slot(opening: Opening) -> Slot:
    return Slot(run=opening.run, purpose=TRAINING, server_round=3, attempt=1)


@pytest.fixture(scope="session")
def signed(identities: dict[str, Identity], slot: Slot) -> Callable[..., Receipt]:
    """A receipt of a site, in every respect right unless said otherwise."""

    def build(site: str, *, signer: str | None = None, **changes: object) -> Receipt:
        facts: dict[str, object] = {
            "slot": slot,
            "site": site,
            "bucket": 0,
            "weight_class": 4,
            "nonce": site.encode().ljust(32, b"."),
            "state": b"\x03" * 32,
        }
        label = UploadLabel(**{**facts, **changes})  # type: ignore[arg-type]
        sign = identities[signer or site].sign
        return Receipt.sign(label, upload=b"\x04" * 32, sign=sign)

    return build


@pytest.fixture(scope="session")
def receipts(signed: Callable[..., Receipt]) -> tuple[Receipt, ...]:
    """What the four sites signed in round 3."""
    return tuple(signed(name) for name in NAMES)


@pytest.fixture(scope="session")
def expected(agreement: Agreement, slot: Slot, receipts: tuple[Receipt, ...]) -> Expected:
    """East reads round 3: four sites in one bucket, two others at least."""
    return Expected(
        slot=slot,
        roster=agreement.roster(NAMES),
        buckets=dict.fromkeys(NAMES, 0),
        min_others=2,
        site="east",
        own=receipts[0],
    )
