"""What a coordinator and members in league with it hold of an encrypted run, read from their files.

Nothing here changes a file: a member's memory is read in a copy, which is deleted at once.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from consortium.audit.sum_verification import Auditor
from consortium.protocol.parameters import upload_header
from consortium.run.directory import BadRunDirectory
from consortium.site.directory import SiteDirectory
from privacy.encryption.parameters import Placement
from privacy.layout import Vector
from privacy.protocol.envelope import Receipt, Slot, UploadLabel
from privacy.protocol.grouping import assign_buckets
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.confirmations import Confirmation, decode_confirmations
from privacy.protocol.masks.mask_terms import MaskTerms, decode_terms
from privacy.protocol.receipts import decode_receipts
from privacy.protocol.upload import upload_digest
from privacy.secrets.answer_memory import AnswerForgotten
from privacy.secrets.bucket_draws import SiteDraws
from privacy.secrets.keys import EpochSecret, Identity
from privacy.secrets.masked_runs.pair_memory import RunForgotten
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.replay_guard import SiteMemory
from privacy.wire.messages import Contribution
from strategies.coordinator.encrypted.rounds.ciphertext_sums import HUB_FILES, RECEIPTS_FILE
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    ChosenSet,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldSet:
    """A set of uploads that was chosen, and who confirmed it.

    Args:
        chosen: The set.
        confirmations: Of exactly this set.
    """

    chosen: ChosenSet
    confirmations: tuple[Confirmation, ...]

    @property
    def terms(self) -> tuple[Mapping[str, MaskTerms], Mapping[str, MaskTerms]]:
        """Mask terms of its updates and of its counts, by site in order of names."""
        joined = (self.chosen.terms, self.chosen.count_terms)
        updates, counts = (dict(sorted(decode_terms(one).items())) if one else {} for one in joined)
        return updates, counts


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldUpload:
    """An upload with the receipt for it, at the coordinator.

    Args:
        receipt: Signs it.
        what: `updates`, `counts` or `statistics`.
        path: Its file.
        placement: Where its integers stand.
        of: The set that it is in; None if it is in none.
        terms: Its mask terms, if they are kept.
    """

    receipt: Receipt
    what: str
    path: Path
    placement: Placement
    of: HeldSet | None
    terms: MaskTerms | None

    @property
    def site(self) -> str:
        """Whose it is."""
        return self.receipt.label.site


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberHoldings:
    """What a member holds of a run.

    Args:
        name: The member.
        epoch: The secret of the run's epoch.
        pairs: Its secrets with other sites, by name; none once they are deleted.
        own_shares: Its own shares of its masks, by slot.
        buckets: The bucket of each site of the run.
    """

    name: str
    epoch: EpochSecret
    pairs: Mapping[str, PairSecret]
    own_shares: Mapping[Slot, int]
    buckets: Mapping[str, int]


def held_uploads(auditor: Auditor) -> tuple[HeldUpload, ...]:
    """Return the uploads that the coordinator kept, of every attempt that it kept.

    The files of a round stand in its folder. A coordinator that keeps each attempt has them in
    folders inside it.

    Raises:
        ConsortiumError: An upload is not the one that its receipt signs.
    """
    folders = sorted({path.parent for path in auditor.vault.folder.rglob(RECEIPTS_FILE)})
    sets = {place: _held_set(place) for place in {folder.parent for folder in folders}}
    return tuple(
        upload for folder in folders for upload in _uploads_in(auditor, folder, sets[folder.parent])
    )


def uploads_without_receipt(auditor: Auditor, uploads: Iterable[HeldUpload]) -> int:
    """Return how many kept uploads no kept receipt signs: nothing can be said of them."""
    known = {one.path for one in uploads}
    of_hubs = {*auditor.vault.folder.rglob(HUB_FILES)}
    return len({*auditor.vault.folder.rglob("upload-*.bin")} - known - of_hubs)


def member_holdings(
    directory: Path, name: str, auditor: Auditor, uploads: Iterable[HeldUpload]
) -> MemberHoldings:
    """Return what a member holds of a run.

    Args:
        directory: The member's.
        name: The member.
        auditor: Of the run.
        uploads: Those that were kept, of all sites.

    Raises:
        BadRunDirectory: The directory does not hold it, or no longer: a later epoch began.
        ConsortiumError: A file cannot be used.
    """
    site, opening = SiteDirectory(directory), auditor.verified_opening()
    if name not in opening.terms.roster or not site.identity.exists():
        raise BadRunDirectory(
            f"{name or 'a member'} must be one of {', '.join(opening.terms.roster)}, with its keys "
            f"in {directory}"
        )
    agreement = auditor.charter.agreement
    identity = Identity.read(site.identity, name=name)
    with TemporaryDirectory(prefix="inspected-") as folder:
        copy = Path(folder)
        for path in site.memory.glob("memory.sqlite*"):
            shutil.copy2(path, copy)
        memory = SiteMemory(copy)
        try:
            draws = SiteDraws(identity=identity, agreement=agreement, memory=memory.draws)
            return MemberHoldings(
                name=name,
                epoch=_epoch_of(site, opening),
                pairs=_pairs(memory, opening.run),
                own_shares=_own_shares(memory, [one for one in uploads if one.site == name]),
                buckets=_buckets(draws, opening, auditor.config.buckets),
            )
        finally:
            memory.close()


def kept_update(directory: Path, label: UploadLabel) -> Vector | None:
    """Return what a site trained for an upload, times its share; None if it let go of it.

    Args:
        directory: The site's.
        label: Of the upload.
    """
    kept = SiteDirectory(directory).memory
    if not kept.exists():
        return None
    with TemporaryDirectory(prefix="inspected-") as folder:
        memory = SiteMemory(Path(shutil.copytree(kept, Path(folder) / "memory")))
        try:
            found = memory.answers.recall_update(label.slot)
        except AnswerForgotten:
            found = None
        finally:
            memory.close()
    if found is None:
        return None
    return np.asarray(Contribution.decode(found).update, np.float64) * label.weight_class / 8


def _held_set(place: Path) -> HeldSet | None:
    if not (place / SET_FILE).exists():
        return None
    chosen = ChosenSet.decode((place / SET_FILE).read_bytes())
    confirmed = place / CONFIRMATIONS_FILE
    given = decode_confirmations(confirmed.read_bytes()) if confirmed.exists() else ()
    return HeldSet(
        chosen=chosen,
        confirmations=tuple(one for one in given if one.set_digest == chosen.sum_set.digest),
    )


def _uploads_in(auditor: Auditor, folder: Path, of: HeldSet | None) -> Iterator[HeldUpload]:
    updates, counts = ({}, {}) if of is None else of.terms
    terms = updates if folder.name == "updates" else counts
    for receipt in decode_receipts((folder / RECEIPTS_FILE).read_bytes()):
        label, path = receipt.label, auditor.upload_path(folder, receipt.label.site)
        if not path.exists():
            continue
        placement = auditor.placement(folder.name, label.slot.server_round)
        header = upload_header(label, auditor.config, auditor.read_layout(), placement)
        if upload_digest(header, [path.read_bytes()]) != receipt.upload:
            continue  # of another attempt: `audit-sum` names who altered one
        said = terms.get(label.site)
        signed = said is not None and said.nonce == label.nonce
        yield HeldUpload(
            receipt=receipt,
            what=folder.name,
            path=path,
            placement=placement,
            of=of if signed else None,
            terms=said if signed else None,
        )


def _epoch_of(site: SiteDirectory, opening: Opening) -> EpochSecret:
    name = f"epoch-{opening.terms.epoch}.secret"
    for path in sorted(site.secrets.glob(f"charter-*/{name}")):
        secret = EpochSecret.read(path)
        if secret.fingerprint == opening.terms.epoch_fingerprint:
            return secret
    raise BadRunDirectory(
        f"{site.path} holds no secret of epoch {opening.terms.epoch}, in which the run was opened: "
        "it is deleted when the next epoch begins"
    )


def _pairs(memory: SiteMemory, run: str) -> dict[str, PairSecret]:
    try:
        kept = memory.pairs.pair_secrets(run)
    except RunForgotten:
        return {}
    return {other: PairSecret(one.secret) for other, one in kept.items()}


def _own_shares(memory: SiteMemory, uploads: Iterable[HeldUpload]) -> dict[Slot, int]:
    slots = [one.receipt.label.slot for one in uploads]
    kept = {slot: memory.masks.own_share(slot) for slot in slots}
    return {slot: int.from_bytes(one, "big") for slot, one in kept.items() if one is not None}


def _buckets(draws: SiteDraws, opening: Opening, num_buckets: int) -> Mapping[str, int]:
    roster = opening.terms.roster
    if num_buckets == 1:
        return dict.fromkeys(roster, 0)
    return assign_buckets(draws.seed(roster), roster, num_buckets=num_buckets)
