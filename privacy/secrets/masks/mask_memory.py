"""Mask memory: the pair secrets of a site, its shares, and what it confirmed.

Secrets lie in the site's memory, whose files have mode 0600. What is deleted is gone from the
database, from its free pages and from the write-ahead log when the call returns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import Slot
from privacy.secrets.keys import Secret
from privacy.storage.sqlite import SiteDatabase

MOST_OPEN_RUNS = 3  # under one charter


class PairKeyUnknown(ConsortiumError, LookupError, code="pair-key-unknown"):
    """A run is to use a pair key in this site's name that this site did not make."""


class PairKeyUsed(ConsortiumError, ValueError, code="pair-key-used"):
    """A run is to use a pair key that belongs to another run."""


class SecondCiphertext(ConsortiumError, ValueError, code="second-ciphertext"):
    """A member signed two different pair secrets for one site and run."""


class RunForgotten(ConsortiumError, LookupError, code="run-forgotten"):
    """This site deleted its pair secrets of a run, so it takes no further part in it."""


class RoundConfirmed(ConsortiumError, ValueError, code="round-confirmed"):
    """This site confirmed another set, or another attempt, of this round."""


class OtherSetConfirmed(ConsortiumError, PermissionError, code="other-set-confirmed"):
    """A bucket was confirmed with other sites in this run, whose charter allows one set."""


@dataclass(frozen=True, kw_only=True)
class KeptPairKey:
    """A pair key as a site keeps it.

    Args:
        offer: The signed public key, as it is sent.
        material: The private key; empty once it is deleted.
    """

    offer: bytes
    material: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class KeptPairSecret:
    """A pair secret as a site keeps it.

    Args:
        ciphertext: The signed ciphertext that it came from, as it was sent.
        secret: k_ij.
    """

    ciphertext: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ConfirmedSet:
    """What a site confirmed, or opened, in a round.

    Args:
        attempt: The attempt.
        set_digest: D.
    """

    attempt: int
    set_digest: bytes


class MaskMemory:
    """The secrets and confirmations of one site in masked runs.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds.

    Args:
        database: Database that holds `MASK_TABLES`.
    """

    def __init__(self, database: SiteDatabase) -> None:
        self._database = database

    # Pair keys.

    def unused_key(self, charter: str) -> KeptPairKey | None:
        """Return the pair key that no run has taken yet, or None."""
        raise NotImplementedError

    def keep_unused_key(self, charter: str, key: KeptPairKey) -> KeptPairKey:
        """Keep a new pair key, unless there is an unused one; return the one that stands."""
        raise NotImplementedError

    def run_to_burn(self, charter: str, run: str) -> str:
        """Return which run is burned when this one begins; empty if none is.

        A run that stands open is parked or under way. There are at most `MOST_OPEN_RUNS` of them
        under a charter; the coordinator is told of the oldest before it begins one more.
        """
        raise NotImplementedError

    def begin_run(self, charter: str, run: str, *, offer: bytes, day: int) -> KeptPairKey:
        """Give a run its pair key, for ever: a key has one run, and a run has one key.

        The oldest open run is burned and forgotten if this one would be too many. Begun again with
        the same key, nothing changes.

        Args:
            charter: Fingerprint of the charter, hexadecimal.
            run: The run id.
            offer: The signed public key in this site's name, from the run's list.
            day: Today, as `date.toordinal`.

        Raises:
            PairKeyUnknown: This site did not make that key under this charter.
            PairKeyUsed: The key has another run, or the run another key.
            RunForgotten: The secrets of this run were deleted.
        """
        raise NotImplementedError

    def run_key(self, run: str) -> KeptPairKey:
        """Return the pair key of a run.

        Raises:
            PairKeyUnknown: It has none at this site.
        """
        raise NotImplementedError

    def drop_private_key(self, run: str) -> None:
        """Delete the private key of a run, once every pair secret that came for it is kept."""
        raise NotImplementedError

    # Pair secrets.

    def keep_made_secret(self, run: str, recipient: str, made: KeptPairSecret) -> KeptPairSecret:
        """Keep a pair secret that this site made; return the one that stands: the first.

        Raises:
            RunForgotten: The secrets of this run were deleted.
        """
        raise NotImplementedError

    def keep_received_secret(self, run: str, sender: str, received: KeptPairSecret) -> None:
        """Keep a pair secret that another member made; kept again, it changes nothing.

        Raises:
            SecondCiphertext: The sender signed another one before.
            RunForgotten: The secrets of this run were deleted.
        """
        raise NotImplementedError

    def pair_secrets(self, run: str) -> dict[str, KeptPairSecret]:
        """Return the pair secrets of a run by the name of the other site.

        Raises:
            RunForgotten: They were deleted.
        """
        raise NotImplementedError

    # Shares: `AnswerMemory` keeps a site's own share of its mask in one commit with the answer,
    # if `Answer.own_share` is not empty.

    def own_share(self, slot: Slot) -> bytes | None:
        """Return this site's own share of the mask of its upload in a slot, or None."""
        raise NotImplementedError

    # Confirmations.

    def confirmed(self, slot: Slot) -> ConfirmedSet | None:
        """Return what this site confirmed or opened in the round of a slot, or None."""
        raise NotImplementedError

    def require_attempt(self, slot: Slot) -> None:
        """Check, before anything is sealed for a slot, that its round is not confirmed otherwise.

        Raises:
            RoundConfirmed: Another attempt was confirmed.
        """
        raise NotImplementedError

    def require_bucket_sites(self, run: str, bucket: int, sites: Sequence[str]) -> None:
        """Check that a bucket was confirmed with these sites only, where there is one set in a run.

        Raises:
            OtherSetConfirmed: It was confirmed with others.
        """
        raise NotImplementedError

    def confirm(
        self,
        slot: Slot,
        set_digest: bytes,
        *,
        only_sites: Mapping[int, Sequence[str]],
        claim: Callable[[], None],
    ) -> None:
        """Remember, in one commit, that this site confirms a set and no other of its round.

        Updates and counts of one round are one decision: training and evaluation share the place.
        Confirmed again, nothing changes.

        Args:
            slot: Of the set, attempt included.
            set_digest: D.
            only_sites: The sites of each bucket that is there, where the charter allows one set in
                a run; empty where it allows any.
            claim: Called within the commit; it claims rosters, and raises where it may not.

        Raises:
            RoundConfirmed: Another set was confirmed in this round.
            WrongAttempt: A later attempt at this round was answered.
            OtherSetConfirmed: A bucket was confirmed with other sites before.
            RunForgotten: The secrets of this run were deleted.
            ConsortiumError: As `claim`.
        """
        raise NotImplementedError

    def accept(
        self, slot: Slot, set_digest: bytes, *, only_sites: Mapping[int, Sequence[str]]
    ) -> None:
        """Remember, before a confirmed set is opened, that it is the one of its round.

        The own shares of earlier rounds of the run are deleted. Accepted again, nothing changes.

        Raises:
            RoundConfirmed, OtherSetConfirmed, RunForgotten: As `confirm`.
        """
        raise NotImplementedError

    # Deletion.

    def open_runs(self, charter: str = "") -> tuple[str, ...]:
        """Return the runs whose secrets are kept, the oldest first; of all charters if empty."""
        raise NotImplementedError

    def release_run(self, run: str) -> None:
        """Delete every secret of a run that came to its end; what it confirmed stays."""
        raise NotImplementedError

    def forget_run(self, run: str) -> bool:
        """Burn a run and delete its secrets; return whether it stood open."""
        raise NotImplementedError

    def forget_open_runs(self) -> tuple[str, ...]:
        """Burn every open run, and delete the unused keys: the memory was put back from a copy."""
        raise NotImplementedError

    def forget_runs_before(self, day: int) -> tuple[str, ...]:
        """Burn the runs that began before a day (`date.toordinal`); return which they were."""
        raise NotImplementedError
