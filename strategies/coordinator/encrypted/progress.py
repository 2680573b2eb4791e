"""Progress of an encrypted run, as far as its coordinator can know it: stored and resumed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from privacy.errors import ConsortiumError
from privacy.layout import Layout
from privacy.protocol.key_messages import Opening
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.rounds.ciphertext_sums import RECEIPTS_FILE, SUMS_FILE

LAYOUT_FILE = "layout.json"
OPENING_FILE = "opening.bin"
STATE_FILE = "state.bin"
PROGRESS_FILE = "progress.json"

Read = Callable[[str], bytes]
Reach = Callable[["SealedProgress"], None]


class BadProgress(ConsortiumError, ValueError, code="bad-progress"):
    """The stored progress of an encrypted run is incomplete or damaged."""


@dataclass(frozen=True, kw_only=True)
class SealedProgress:
    """How far an encrypted run is, as its coordinator can know it.

    Args:
        layout: Layout of the federated vector.
        rounds: Number of rounds that moved the model.
        run: The run id, which holds the digest of its opening.
        model_digest: Digest of the final model according to more than half of the sites,
            hexadecimal; empty before they were asked, or if they do not agree.
    """

    layout: Layout
    rounds: int
    run: str
    model_digest: str


@dataclass(frozen=True, kw_only=True)
class Untold:
    """A round that is done and not yet reported: its figures are released in the next round.

    `score_bins` are the bins of its counts: empty for those of equal width, None if they follow
    from counts that the sites opened and did not release. `counted` says whether the round
    asked for counts.
    """

    server_round: int
    answered: tuple[str, ...]
    bytes_down: int
    bytes_up: int
    seconds: float
    score_bins: bytes | None = b""
    counted: bool = True

    def describe(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        bins = None if self.score_bins is None else self.score_bins.hex()
        return {**vars(self), "score_bins": bins}


@dataclass(frozen=True, kw_only=True)
class SealedStanding:
    """All that a coordinator needs to ask the next question of an encrypted run, byte for byte.

    Args:
        layout: Layout of the federated vector.
        request: The next request.
        untold: The last round, if it was not reported yet.
        models: Digests of the final model that the sites sent, hexadecimal; empty before that.
        masks: What a masked run stores besides, as plain JSON values; empty in other runs.
        files: The content of the files that `masks` names under `files`, by name.
    """

    layout: Layout
    request: SealedRound
    untold: Untold | None = None
    models: tuple[str, ...] = ()
    masks: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

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
        """Return as JSON what must be stored besides the files of the last round."""
        untold = self.untold
        described = {
            "version": 1,
            "server_round": self.request.server_round,
            "attempt": self.request.attempt,
            "counted": bool(self.request.count_sum),
            "signed": bool(self.request.count_receipts),
            "carried": self.request.server_round == 1 and bool(self.request.state),
            "models": list(self.models),
            "untold": untold.describe() if untold else None,
            **({"masks": dict(self.masks)} if self.masks else {}),
        }
        return json.dumps(described).encode()


def read_standing(read: Read, charter: str, num_rounds: int) -> SealedStanding:
    """Read the standing of a run from the files of its coordinator.

    Guarantee: the request equals the stored one byte for byte. So a site that answered it gives
    the same answer again and does not train again.

    Args:
        read: Returns the content of a stored file, by name.
        charter: Fingerprint of the charter, hexadecimal.
        num_rounds: Number of rounds that move the model.

    Raises:
        BadProgress: A file is missing or damaged.
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
        # Receipts, sums and state of the round before are in files of their own, so that
        # `progress.json`, which is written last, stays small.
        last = f"round-{server_round - 1}"
        if 1 < server_round <= num_rounds + 1:
            request = replace(
                request,
                receipts=read(f"{last}/updates/{RECEIPTS_FILE}"),
                sums=read(f"{last}/updates/{SUMS_FILE}"),
                state=read(f"{last}/{STATE_FILE}"),
            )
        # The start of a run that carries the statistics of an earlier one.
        if described.get("carried"):
            request = replace(request, state=read(f"{last}/{STATE_FILE}"))
        counted = f"{last}/{'counts' if server_round > 1 else 'statistics'}"
        # Version 0.1.0 showed receipts only together with their sum, and did not say so.
        if described.get("signed", described["counted"]):
            request = replace(request, count_receipts=read(f"{counted}/{RECEIPTS_FILE}"))
        if described["counted"]:
            request = replace(request, count_sum=read(f"{counted}/{SUMS_FILE}"))
        untold = described["untold"]
        masks = dict(described.get("masks", {}))
        standing = SealedStanding(
            layout=Layout.from_description(json.loads(read(LAYOUT_FILE))),
            request=request,
            untold=parse_untold(untold) if untold else None,
            models=tuple(str(model) for model in described["models"]),
            masks=masks,
            files={name: read(name) for name in masks.get("files", ())},
        )
        _ = standing.opening
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadProgress(f"the stored progress of the run is incomplete: {error}") from error
    return standing


def majority_digest(digests: Sequence[str]) -> str:
    """Return the digest that more than half of the sites sent; "" if there is none."""
    for digest in sorted(set(digests)):
        if 2 * digests.count(digest) > len(digests):
            return digest
    return ""


def parse_untold(described: dict[str, object]) -> Untold:
    """Return the round that `Untold.describe` wrote."""
    bins = described.get("score_bins", "")  # version 0.1.0 had bins of equal width only
    return Untold(
        server_round=int(str(described["server_round"])),
        answered=tuple(str(site) for site in _require_list(described["answered"])),
        bytes_down=int(str(described["bytes_down"])),
        bytes_up=int(str(described["bytes_up"])),
        seconds=float(str(described["seconds"])),
        score_bins=None if bins is None else bytes.fromhex(str(bins)),
        counted=bool(described.get("counted", True)),  # version 0.1.0 asked in every round
    )


def _require_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list of sites is needed")
    return value
