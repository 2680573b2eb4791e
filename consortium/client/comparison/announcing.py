"""What a site announces to the other members before a run: that it takes part, and to itself, how.

docs/protocol.md, "A restored copy".
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from consortium.client.private_training import delta_of
from consortium.client.site_ledger import shared_ledger
from consortium.differential_privacy import DifferentiallyPrivate, PrivacyKeys
from consortium.protocol.parameters import compares_ledgers
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.canonical import DIGEST_SIZE
from privacy.protocol.announcements import Announcement
from privacy.secrets.keys import Identity

_CONTEXT = b"consortium.planned-cost/1\n"
_BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class PlannedCost:
    """What a run may cost one site, as it was planned.

    Args:
        data_set: Name of its records.
        rounds: Number of rounds; 0 for a run that only evaluates.
        seed: Where training began.
        delta: Of private training at this site; 0 without it.
        privacy: What the run asked for; None if training was not private.
    """

    data_set: str
    rounds: int
    seed: int
    delta: float
    privacy: DifferentiallyPrivate | None

    @classmethod
    def of(cls, site: Site) -> "PlannedCost":
        """Return the plan of the run that a site is asked to join."""
        privacy = site.run_config.privacy.budgeted
        return cls(
            data_set=site.config.data_set,
            rounds=site.run_config.num_server_rounds,
            seed=site.run_config.seed,
            delta=delta_of(privacy, site.data) if privacy else 0.0,
            privacy=privacy,
        )

    def sealed(self, identity: Identity) -> bytes:
        """Return the plan so that its site alone can read it, and its length tells nothing."""
        fields: dict[str, Any] = {
            "data_set": self.data_set,
            "rounds": self.rounds,
            "seed": self.seed,
            "delta": self.delta,
            "dp": asdict(self.privacy.asked) if self.privacy else None,
        }
        text = json.dumps(fields, sort_keys=True).encode()
        padded = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
        return identity.public.seal(padded, context=_CONTEXT)

    @classmethod
    def opened(cls, note: bytes, identity: Identity) -> "PlannedCost":
        """Return the plan that this site sealed.

        Raises:
            CannotOpen: It was sealed to other keys.
        """
        fields = json.loads(identity.open(note, context=_CONTEXT))
        asked = fields["dp"]
        keys = PrivacyKeys(**asked) if asked else PrivacyKeys()
        return cls(
            data_set=fields["data_set"],
            rounds=fields["rounds"],
            seed=fields["seed"],
            delta=fields["delta"],
            privacy=keys.parsed.budgeted,
        )


def announce_run(site: Site) -> bytes:
    """Return what a site announces before a run; empty where ledgers are not compared.

    Guarantee: it is on the disk before anybody is told.
    """
    if not compares_ledgers(site.run_config, site.charter):
        return b""
    identity = Identity.read(SiteDirectory(site.directory).identity, name=site.config.name)
    ledger = shared_ledger(site.directory)
    number = ledger.next_number()
    announced = Announcement(
        site=site.config.name,
        number=number,
        # Once it knows that something is missing, it asks for all that the others hold.
        since=1 if ledger.lost() else number,
        salt=secrets.token_bytes(DIGEST_SIZE),
        note=PlannedCost.of(site).sealed(identity),
    )
    ledger.note_announced(number, announced.digest, settings=site.config_digest, at=time.time())
    return announced.with_signature(identity.sign).encode()
