"""What the coordinator of an encrypted run saw, read back from its own files only."""

from dataclasses import dataclass
from math import log2

import numpy as np

from consortium.audit.sum_verification import Auditor, SumCheck
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.protocol.receipts import decode_receipts
from strategies.coordinator.encrypted.rounds.ciphertext_sums import RECEIPTS_FILE, SUMS_FILE

_SAMPLE_BYTES = 24


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """What the coordinator knows about one site's upload in the last kept round.

    Args:
        site: The site's name.
        weight_class: The site's weight class, from its receipt.
        upload_bytes: Length of the sealed update.
        sample: Some of its bytes, hexadecimal: all that there is to read.
        bits_per_byte: Entropy of the bytes; 8 cannot be told from random noise.
    """

    site: str
    weight_class: int
    upload_bytes: int
    sample: str
    bits_per_byte: float


@dataclass(frozen=True, kw_only=True)
class CoordinatorView:
    """What the coordinator saw of a run, and what it could not read.

    Args:
        run_id: The digest of the run's opening.
        opener: The member that opened the run.
        epoch: Number of the epoch of keys.
        roster: The sites of the run.
        server_round: The last kept round, which all figures are of.
        dim: Number of parameters in an update.
        sites: Each site's upload.
        sum_bytes: Length of the sums of the updates.
        state_bytes: Length of the sealed model state.
        state_sample: Its last bytes, hexadecimal.
        secret_keys: Secret keys among the coordinator's files, without those that only sign.
        verdicts: The keyless auditor's verdict on each kept sum.
    """

    run_id: str
    opener: str
    epoch: int
    roster: tuple[str, ...]
    server_round: int
    dim: int
    sites: tuple[SiteView, ...]
    sum_bytes: int
    state_bytes: int
    state_sample: str
    secret_keys: int
    verdicts: tuple[SumCheck, ...]


def has_kept_rounds(run: RunDirectory) -> bool:
    """Return whether the coordinator kept a complete encrypted round of this run, with uploads."""
    return bool(_kept_rounds(EvidenceStore(run.vault)))


def coordinator_view(run: RunDirectory) -> CoordinatorView:
    """Return what the coordinator saw, read from the files it kept.

    Raises:
        BadRunDirectory: The directory is not that of an encrypted run, or its uploads were deleted.
        ConsortiumError: The files do not belong to a run under its charter.
    """
    auditor = Auditor.for_run(run)
    opening = auditor.verified_opening()
    kept = _kept_rounds(auditor.vault)
    if not kept:
        raise BadRunDirectory(
            f"{run.path} has no round with uploads: none was finished, or the uploads were deleted"
        )
    last = kept[-1]
    folder = auditor.vault.folder / f"round-{last}"
    receipts = decode_receipts((folder / "updates" / RECEIPTS_FILE).read_bytes())
    state = (folder / "state.bin").read_bytes()
    return CoordinatorView(
        run_id=opening.run,
        opener=opening.terms.opener,
        epoch=opening.terms.epoch,
        roster=opening.terms.roster,
        server_round=last,
        dim=auditor.read_layout().dim,
        sites=tuple(
            _site_view(
                receipt.label.site,
                receipt.label.weight_class,
                path.read_bytes(),
            )
            for receipt in receipts
            # An upload that a hub added is shown if the hub's files are here.
            if (path := auditor.upload_path(folder / "updates", receipt.label.site)).exists()
        ),
        sum_bytes=(folder / "updates" / SUMS_FILE).stat().st_size,
        state_bytes=len(state),
        state_sample=state[-_SAMPLE_BYTES:].hex(),
        secret_keys=len(
            set(run.coordinator.rglob("*.secret")) - {run.signing_key, run.question_key}
        ),
        verdicts=tuple(auditor.check_sums()),
    )


def _kept_rounds(vault: EvidenceStore) -> list[int]:
    """Return the rounds of which sums and uploads are kept, in order."""
    folders = {number: vault.folder / f"round-{number}" / "updates" for number in vault.rounds()}
    return [
        number
        for number, folder in folders.items()
        if (folder / SUMS_FILE).exists() and vault.has_uploads(folder)
    ]


def _site_view(site: str, weight_class: int, upload: bytes) -> SiteView:
    # Headers stand at the start and are readable; only the ciphertext should look like noise.
    body = upload[-len(upload) // 2 :]
    return SiteView(
        site=site,
        weight_class=weight_class,
        upload_bytes=len(upload),
        sample=body[:_SAMPLE_BYTES].hex(),
        bits_per_byte=_bits_per_byte(body),
    )


def _bits_per_byte(data: bytes) -> float:
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    shares = counts[counts > 0] / len(data)
    return float(-sum(share * log2(share) for share in shares))
