"""A site's keys in an encrypted run: how they come, and which it goes by."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.document import Charter
from consortium.site.directory import SiteDirectory
from privacy.encryption.parameters import SealParameters
from privacy.identity.public_identity import Agreement
from privacy.protocol.key_messages import Delivery, Opening
from privacy.secrets.bucket_draws import SiteDraws
from privacy.secrets.epoch_files import NoEpoch, current_epoch, keep_epoch
from privacy.secrets.key_exchange import (
    OpenedRun,
    RunPlan,
    accept_delivery,
    accept_opening,
    make_opening,
    rotate_epoch,
)
from privacy.secrets.keys import EpochSecret, Identity
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.sealer import BfvSecret
from privacy.storage.secret_files import SecretMissing
from privacy.storage.site_process import SITE_PROCESS, Cache

_BELIEVED_STEP = 2**20  # a liar who says more does not use up the numbers of epochs


@dataclass(frozen=True, kw_only=True)
class KeyRing:
    """One site as a holder of keys.

    Args:
        identity: Its secret keys, made at the site.
        agreement: The charter's, as this site knows it.
        memory: What it must remember.
        directory: For its epoch secrets under this charter.
    """

    identity: Identity
    agreement: Agreement
    memory: SiteMemory
    directory: Path

    @property
    def draws(self) -> SiteDraws:
        """Its part in the draws of buckets."""
        return SiteDraws(identity=self.identity, agreement=self.agreement, memory=self.memory.draws)

    def epoch(self) -> EpochSecret:
        """Return the epoch secret this site goes by.

        Raises:
            NoEpoch: It accepted none yet.
            SecretMissing: It goes by one of another charter.
        """
        return current_epoch(directory=self.directory, memory=self.memory)

    def held_epoch(self) -> tuple[int, bytes]:
        """Return number and fingerprint of the epoch this site goes by; 0 and nothing if none."""
        try:
            secret = self.epoch()
        except (NoEpoch, SecretMissing):
            return 0, b""
        return secret.epoch, secret.fingerprint

    def rotate(self, last_epoch: int) -> dict[str, bytes]:
        """Make a fresh epoch secret, go by it, and return what brings it to the others.

        Args:
            last_epoch: The last one anybody in the consortium says it accepted.
        """
        own = self.memory.last_epoch()
        last = min(max(last_epoch, own), own + _BELIEVED_STEP)
        made = rotate_epoch(self.identity, agreement=self.agreement, last_epoch=last)
        keep_epoch(made.secret, directory=self.directory, memory=self.memory)
        return {name: delivery.encode() for name, delivery in made.deliveries.items()}

    def accept(self, encoded: bytes) -> tuple[int, bytes]:
        """Accept a delivered epoch secret; return what this site goes by then."""
        secret = accept_delivery(
            Delivery.decode(encoded),
            identity=self.identity,
            agreement=self.agreement,
            last_epoch=self.memory.last_epoch(),
        )
        keep_epoch(secret, directory=self.directory, memory=self.memory)
        return self.held_epoch()

    def open_run(
        self,
        *,
        label: str,
        roster: Sequence[str],
        lineage: str,
        descriptor: bytes,
        parameters: SealParameters,
    ) -> bytes:
        """Open a run with a fresh key; return the encoded opening.

        Guarantee: the key's only copy outside the opening is in this call.
        """
        plan = RunPlan(
            label=label,
            descriptor=descriptor,
            roster=tuple(roster),
            lineage=lineage or None,
        )
        opening = make_opening(
            plan,
            BfvSecret.generate(parameters).material(),
            opener=self.identity,
            agreement=self.agreement,
            secret=self.epoch(),
        )
        return opening.encode()

    def accept_run(self, opening: Opening, *, descriptor: bytes) -> OpenedRun:
        """Return what this site holds of a run, once its opening is right."""
        return accept_opening(
            opening,
            site=self.identity.name,
            descriptor=descriptor,
            agreement=self.agreement,
            secret=self.epoch(),
            memory=self.memory,
        )


def member_at(directory: Path, name: str, charter: Charter) -> KeyRing:
    """Return the member whose keys are in a site's directory; one object a process.

    Raises:
        SecretMissing: The site has no identity: it was never made there.
        BadCharter: The charter gives no keys to its members.
    """
    # Not the charter itself: its hash is that of every member, for each message.
    key = (directory, name, charter.fingerprint)
    return _KEY_RINGS.get(key, lambda: _read_key_ring(directory, name, charter))


_KEY_RINGS: Cache[tuple[Path, str, str], KeyRing] = SITE_PROCESS.cache(
    "key rings", most=1_024, close=lambda ring: ring.memory.close()
)


def _read_key_ring(directory: Path, name: str, charter: Charter) -> KeyRing:
    paths = SiteDirectory(directory)
    short = hashlib.sha256(charter.fingerprint.encode()).hexdigest()[:16]
    return KeyRing(
        identity=Identity.read(paths.identity, name=name),
        agreement=charter.agreement,
        memory=SiteMemory(paths.memory),
        directory=paths.charter_secrets(short),
    )
