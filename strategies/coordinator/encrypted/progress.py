"""How far an encrypted run is, as its coordinator can know it: kept, and taken up again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from privacy.errors import ConsortiumError
from privacy.layout import Layout
from privacy.protocol.key_messages import Opening
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.ciphertext_sums import RECEIPTS_FILE, SUMS_FILE

LAYOUT_FILE = "layout.json"
OPENING_FILE = "opening.bin"
STATE_FILE = "state.bin"
PROGRESS_FILE = "progress.json"

Read = Callable[[str], bytes]
Reach = Callable[["SealedProgress"], None]


class BadProgress(ConsortiumError, ValueError):
    """What a coordinator kept of an encrypted run is not whole."""

    code = "bad-progress"


@dataclass(frozen=True, kw_only=True)
class SealedProgress:
    """How far an encrypted run is, as its coordinator can know it.

    Args:
        layout: Of the federated vector.
        rounds: Rounds that moved the model.
        run: The run id: the digest of its opening.
        model_digest: What more than half of the sites call the final model, hexadecimal; empty
            before they were asked.
    """

    layout: Layout
    rounds: int
    run: str
    model_digest: str


@dataclass(frozen=True, kw_only=True)
class Untold:
    """A round that is done and not yet told of: its figures are released in the next one."""

    server_round: int
    answered: tuple[str, ...]
    bytes_down: int
    bytes_up: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SealedStanding:
    """All that a coordinator needs to ask the next question of an encrypted run, word for word.

    Args:
        layout: Of the federated vector.
        request: What is asked next.
        untold: The last round, if it was not told of.
        models: What sites called the final model, once they were asked, hexadecimal.
    """

    layout: Layout
    request: SealedRound
    untold: Untold | None = None
    models: tuple[str, ...] = ()

    @property
    def opening(self) -> Opening:
        """The run's opening."""
        return Opening.decode(self.request.opening)

    def progress(self, num_rounds: int) -> SealedProgress:
        """Return how far the run is.

        Args:
            num_rounds: Rounds that move the model.
        """
        return SealedProgress(
            layout=self.layout,
            rounds=min(self.request.server_round - 1, num_rounds),  # later ones only evaluate
            run=self.opening.run,
            model_digest=majority_digest(self.models),
        )

    def describe(self) -> bytes:
        """Return what must be kept of this beside the files of the round before, as JSON."""
        untold = self.untold
        described = {
            "version": 1,
            "server_round": self.request.server_round,
            "attempt": self.request.attempt,
            "counted": bool(self.request.count_sum),
            "models": list(self.models),
            "untold": vars(untold) if untold else None,
        }
        return json.dumps(described).encode()


def read_standing(read: Read, charter: str, num_rounds: int) -> SealedStanding:
    """Return the standing of a run from the files of its coordinator.

    Guarantee: the request is that of the coordinator that kept them, byte for byte, so that a
    site which answered it answers the same again and does not train again.

    Args:
        read: Returns a kept file by name.
        charter: Fingerprint of the charter, hexadecimal.
        num_rounds: Rounds that move the model.

    Raises:
        BadProgress: A file is missing or not what it should be.
    """
    try:
        described = json.loads(read(PROGRESS_FILE))
        server_round = int(described["server_round"])
        request = SealedRound(
            charter=charter,
            server_round=server_round,
            attempt=int(described["attempt"]),
            opening=read(OPENING_FILE),
        )
        last = f"round-{server_round - 1}"
        if 1 < server_round <= num_rounds + 1:
            request = replace(
                request,
                receipts=read(f"{last}/updates/{RECEIPTS_FILE}"),
                sums=read(f"{last}/updates/{SUMS_FILE}"),
                state=read(f"{last}/{STATE_FILE}"),
            )
        if described["counted"]:
            counted = f"{last}/{'counts' if server_round > 1 else 'statistics'}"
            request = replace(
                request,
                count_receipts=read(f"{counted}/{RECEIPTS_FILE}"),
                count_sum=read(f"{counted}/{SUMS_FILE}"),
            )
        untold = described["untold"]
        standing = SealedStanding(
            layout=Layout.from_description(json.loads(read(LAYOUT_FILE))),
            request=request,
            untold=_parse_untold(untold) if untold else None,
            models=tuple(str(model) for model in described["models"]),
        )
        _ = standing.opening
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadProgress(f"what was kept of the run is not whole: {error}") from error
    return standing


def majority_digest(digests: Sequence[str]) -> str:
    """Return what more than half of the sites say; nothing if they do not agree."""
    for digest in sorted(set(digests)):
        if 2 * digests.count(digest) > len(digests):
            return digest
    return ""


def _parse_untold(described: dict[str, object]) -> Untold:
    return Untold(
        server_round=int(str(described["server_round"])),
        answered=tuple(str(site) for site in _require_list(described["answered"])),
        bytes_down=int(str(described["bytes_down"])),
        bytes_up=int(str(described["bytes_up"])),
        seconds=float(str(described["seconds"])),
    )


def _require_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list of sites is needed")
    return value
