"""What a masked run stores of its standing besides that of an encrypted run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from privacy.protocol.masks.confirmations import decode_confirmations
from strategies.coordinator.encrypted.progress import BadProgress, SealedStanding
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    ChosenSet,
)
from strategies.coordinator.masked.rounds.confirming import Confirming, ShownParts

AWAITED_FILE = "awaited.json"


@dataclass(frozen=True, kw_only=True)
class AwaitedSites:
    """For whom a run waits that sums one set of sites, and where.

    Args:
        sites: Their names, sorted.
        state: Digest of the sealed state that more than half of the others signed; empty if they
            did not sign one.
    """

    sites: tuple[str, ...]
    state: bytes

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"sites": list(self.sites), "state": self.state.hex()}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse what `encode` wrote.

        Raises:
            BadProgress: It is anything else.
        """
        try:
            said = json.loads(data)
            return cls(sites=_names(said["sites"]), state=bytes.fromhex(said["state"]))
        except (ValueError, LookupError, TypeError) as error:
            raise BadProgress(f"for whom the run waits cannot be read: {error}") from error


@dataclass(frozen=True, kw_only=True)
class MaskedStanding:
    """How far a masked run is, besides what `SealedStanding` says.

    Args:
        asked: The sites that the next question asks together, V; empty if they are not chosen.
        set_of: The round whose set was chosen last; -1 if none was.
        confirmed: Whether it is confirmed.
        buckets: The bucket of each site that told it.
    """

    asked: tuple[str, ...] = ()
    set_of: int = -1
    confirmed: bool = False
    buckets: Mapping[str, int] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that belong to the standing, by name."""
        if self.set_of < 0:
            return ()
        folder = f"round-{self.set_of}"
        kept = (SET_FILE, CONFIRMATIONS_FILE) if self.confirmed else (SET_FILE,)
        return tuple(f"{folder}/{name}" for name in kept)

    def describe(self) -> dict[str, object]:
        """Return it as plain JSON values; `files` names the files that are read with it."""
        return {
            "asked": list(self.asked),
            "set_of": self.set_of,
            "confirmed": self.confirmed,
            "buckets": dict(sorted(self.buckets.items())),
            "files": list(self.files),
        }


def parse_masked_standing(described: Mapping[str, object]) -> MaskedStanding:
    """Return what `MaskedStanding.describe` wrote.

    Raises:
        BadProgress: It is anything else.
    """
    try:
        return MaskedStanding(
            asked=_names(described["asked"]),
            set_of=int(str(described["set_of"])),
            confirmed=bool(described["confirmed"]),
            buckets={
                site: int(str(bucket))
                for site, bucket in _require_object(described["buckets"]).items()
            },
        )
    except (ValueError, LookupError, TypeError) as error:
        raise BadProgress(f"the stored progress of the masked run is damaged: {error}") from error


def confirming_of(
    standing: MaskedStanding, since: SealedStanding, terms: MaskedTerms
) -> Confirming | None:
    """Return the set that was chosen last, with the confirmations that are kept; None if none was.

    Args:
        standing: How far the run is.
        since: The rest of it, with the files that the standing names.
        terms: The agreed parameters.

    Raises:
        BadProgress: A file is missing or damaged.
    """
    if standing.set_of < 0:
        return None
    try:
        chosen, *confirmed = (since.files[name] for name in standing.files)
        confirming = Confirming(
            chosen=ChosenSet.decode(chosen), shown=ShownParts.of(since.request), terms=terms
        )
        for joined in confirmed:
            confirming.held = {one.witness: one for one in decode_confirmations(joined)}
    except (LookupError, ValueError) as error:
        raise BadProgress(f"the stored set of a masked run is damaged: {error}") from error
    return confirming


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of sites is needed")
    return tuple(str(site) for site in value)


def _require_object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError("an object is needed")
    return value
