"""The keyless auditor: did the coordinator add the uploads that the sites signed, and no others?

Adding ciphertexts is deterministic, and signed receipts fix the uploads. So anybody with the
charter and the coordinator's files can repeat the addition and compare, without a key. What the
sites were shown is another question: it takes the questions that the coordinator signed, which
the sites keep.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from consortium.audit.confirmed_sets import ConfirmedSet, confirmed_set
from consortium.audit.cross_check import SiteEvidence, gather_evidence
from consortium.audit.hub_parts import KeptPart, hub_vaults, kept_parts
from consortium.audit.shown_sums import NOTHING, ShownSum
from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.registry import recorded_mode
from consortium.protocol.evaluation_bins import evaluation_of
from consortium.protocol.parameters import count_placement, update_placement, upload_header
from consortium.protocol.round_counts import round_counts_placement
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.records import Summary, read_record
from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import Placement
from privacy.errors import ConsortiumError, abbreviated_names
from privacy.layout import Layout
from privacy.protocol.envelope import Receipt
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import decode_receipts
from privacy.protocol.signed_question import PARTS
from privacy.protocol.upload import upload_digest
from sites.statistics.contract import statistics_for
from strategies.coordinator.encrypted.progress import LAYOUT_FILE, OPENING_FILE
from strategies.coordinator.encrypted.rounds.ciphertext_sums import (
    RECEIPTS_FILE,
    SUMS_FILE,
    upload_file,
)


@dataclass(frozen=True, kw_only=True)
class SumCheck:
    """The auditor's verdict on one sum.

    Args:
        server_round: The round of the sum; 0 for the statistics.
        what: `updates`, `counts` or `statistics`.
        bucket: The number of the bucket.
        sites: The sites whose signed uploads it should be the sum of.
        deviation: What is wrong and who is responsible, in words; empty if nothing is wrong.
        undecided: Why nobody can say whether the sites were shown this sum; empty if they were.
        shown_to: The sites that were shown exactly this sum, as the coordinator's signature proves.
        confirmed_by: In a masked run the sites that signed exactly this sum before it was read.
    """

    server_round: int
    what: str
    bucket: int
    sites: tuple[str, ...]
    deviation: str = ""
    undecided: str = ""
    shown_to: tuple[str, ...] = ()
    confirmed_by: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.deviation:
            return self.deviation
        if self.undecided:
            return f"added correctly; not decided: {self.undecided}"
        if self.confirmed_by:
            return f"added correctly, and confirmed so by {abbreviated_names(self.confirmed_by)}"
        return f"added correctly, and shown so to {', '.join(self.shown_to)}"


@dataclass(frozen=True)
class Auditor:
    """Repeats the sums of a coordinator.

    Args:
        charter: The charter, which has the members' public keys.
        config: The run config.
        vault: The coordinator's evidence store.
        evidence: What the sites kept of the questions that they were asked.
        hubs: The evidence store of each hub whose files are here: the uploads that it added.
    """

    charter: Charter
    config: RunConfig
    vault: EvidenceStore
    evidence: tuple[SiteEvidence, ...] = ()
    hubs: Mapping[str, EvidenceStore] = field(default_factory=dict)

    @classmethod
    def for_run(
        cls, run: RunDirectory, evidence: Sequence[Path] = (), hubs: Sequence[Path] = ()
    ) -> "Auditor":
        """Return the auditor of a run's directory.

        Args:
            run: The directory.
            evidence: Where the sites' audit logs are.
            hubs: The directories of hubs; those of a run on one machine are found.

        Raises:
            BadRunDirectory: The directory is not that of an encrypted run.
            NoLog, AuditChainBroken: As `gather_evidence` says.
        """
        summary = read_record(run.summary, Summary)
        if not recorded_mode(summary.config).keeps_signed_sums:
            raise BadRunDirectory(
                f"{run.path} is a run in the clear: only an encrypted run keeps signed uploads"
            )
        charter, config = Charter.read(run.charter), RunConfig.parse(summary.config)
        found = gather_evidence(evidence, charter)
        kept = hub_vaults(run, charter, config, hubs)
        return cls(charter, config, EvidenceStore(run.vault), found, kept)

    def check_sums(self) -> Iterator[SumCheck]:
        """Check each sum whose uploads are kept; yield the verdicts.

        Raises:
            ConsortiumError: The files do not belong to a run under this charter.
        """
        self.verified_opening()
        for server_round, folder in self._folders_of_sums():
            if self.vault.has_uploads(folder):
                yield from self._check_folder(server_round, folder)

    def sums_with_deleted_uploads(self) -> list[str]:
        """Return the names of the sums whose uploads were deleted, in order of their rounds."""
        return [
            f"round {server_round} {folder.name}"
            for server_round, folder in self._folders_of_sums()
            if not self.vault.has_uploads(folder)
        ]

    def rounds_without_uploads(self) -> list[int]:
        """Return the rounds whose sums sites were shown, and whose uploads are not kept."""
        opening, kept = self._opening_digest, set(self.vault.rounds())
        asked = {
            question.server_round - 1
            for one in self.evidence
            for question in one.questions
            if question.parts[0] == opening and question.parts[PARTS.index("sums")] != NOTHING
        }
        return sorted(asked - kept)

    def verified_opening(self) -> Opening:
        """Return the run's opening after checking its signature.

        Raises:
            BadSignature: The member it names did not sign it.
        """
        opening = Opening.decode(self.vault.read(OPENING_FILE))
        opening.verify(self.charter.agreement.member(opening.terms.opener))
        return opening

    def upload_path(self, folder: Path, site: str) -> Path:
        """Return where an upload is kept: at the coordinator, or at the site's hub.

        Args:
            folder: The folder of the sum at the coordinator.
            site: Whose upload it is.
        """
        path = folder / upload_file(site)
        hub = next((one.name for one in self.charter.hubs if site in one.members), "")
        if path.exists() or hub not in self.hubs:
            return path
        return self.hubs[hub].folder / folder.relative_to(self.vault.folder) / upload_file(site)

    def read_layout(self) -> Layout:
        """Read the layout of the run's model."""
        return Layout.from_description(json.loads(self.vault.read(LAYOUT_FILE)))

    def placement(self, what: str, server_round: int) -> Placement:
        """Return how vectors of one kind of sum are placed in the ciphertexts of a round."""
        match what:
            case "updates":
                layout = self.read_layout()
                return update_placement(self.config, self.charter, layout, server_round)
            case "statistics":
                by_class = self.config.counts_by_class
                size = statistics_for(self.charter.table, by_class=by_class).layout.size
                return count_placement(self.config, self.charter, size)
            case _:
                size = evaluation_of(self.config, self.charter).layout.size
                return round_counts_placement(self.config, self.charter, size)

    def _folders_of_sums(self) -> Iterator[tuple[int, Path]]:
        for server_round in self.vault.rounds():
            folder = self.vault.folder / f"round-{server_round}"
            for receipts in sorted(folder.glob(f"*/{RECEIPTS_FILE}")):
                yield server_round, receipts.parent

    @cached_property
    def _opening_digest(self) -> bytes:
        return hashlib.sha256(self.vault.read(OPENING_FILE)).digest()

    def _check_folder(self, server_round: int, folder: Path) -> Iterator[SumCheck]:
        placement = self.placement(folder.name, server_round)
        receipts = decode_receipts((folder / RECEIPTS_FILE).read_bytes())
        published = (folder / SUMS_FILE).read_bytes()
        checks, right = [], []
        for index, bucket in enumerate(sorted({receipt.label.bucket for receipt in receipts})):
            mine = [receipt for receipt in receipts if receipt.label.bucket == bucket]
            said = published[index * placement.sum_bytes : (index + 1) * placement.sum_bytes]
            summed, deviation, undecided = self._recomputed_sum(folder, placement, mine)
            if not deviation and summed != said:
                deviation = "the coordinator published a sum other than that of the signed uploads"
            right.append(summed)
            checks.append(
                SumCheck(
                    server_round=server_round,
                    what=folder.name,
                    bucket=bucket,
                    sites=tuple(receipt.label.site for receipt in mine),
                    deviation=deviation,
                    undecided=undecided,
                )
            )
        shown = self._shown(server_round, folder, b"".join(right))
        confirmed = self._confirmed(server_round)
        for check, summed in zip(checks, right, strict=True):
            if check.deviation or check.undecided:
                yield check
            elif confirmed is None:
                yield self._with_evidence(check, summed, shown)
            else:
                kept = (folder / RECEIPTS_FILE).read_bytes()
                told = shown.deviation() or confirmed.deviation(check.what, kept)
                yield self._with_confirmations(replace(check, deviation=told), summed, confirmed)

    def _recomputed_sum(
        self, folder: Path, placement: Placement, receipts: list[Receipt]
    ) -> tuple[bytes, str, str]:
        """Return the sum of the uploads that these receipts sign; what is wrong; what is unknown.

        If something is wrong, there is no sum.
        """
        adder, left = Adder(placement), {receipt.label.site: receipt for receipt in receipts}
        unknown = []
        for part in kept_parts(folder, left):
            mine = [left.pop(site) for site in part.said.sites]
            deviation = part.deviation(self.charter, mine)
            if deviation:
                return b"", deviation, ""
            if part.said.hub in self.hubs:
                deviation = self._hub_deviation(part, folder, placement, mine)
            else:
                unknown.append(part.said.hub)
            if deviation:
                return b"", deviation, ""
            adder.add_sum(part.summed, uploads=len(mine))
        deviation = self._added_uploads(adder, folder, placement, [*left.values()])
        if deviation:
            return b"", deviation, ""
        missing = f"the uploads that {abbreviated_names(unknown)} added are not here"
        return adder.sum(), "", missing if unknown else ""

    def _hub_deviation(
        self, part: KeptPart, folder: Path, placement: Placement, receipts: list[Receipt]
    ) -> str:
        """Return what is wrong with the sum of a hub whose uploads are here; empty if nothing."""
        adder = Adder(placement)
        deviation = self._added_uploads(adder, folder, placement, receipts)
        if not deviation and adder.sum() != part.summed:
            deviation = "the coordinator signed a sum other than that of the signed uploads"
        return deviation.replace("the coordinator", part.said.hub)

    def _added_uploads(
        self, adder: Adder, folder: Path, placement: Placement, receipts: list[Receipt]
    ) -> str:
        """Add the kept uploads that these receipts sign; return what is wrong, or nothing."""
        for receipt in receipts:
            site = receipt.label.site
            path = self.upload_path(folder, site)
            if not path.exists():
                return f"the coordinator did not keep the upload that {site} signed"
            upload = path.read_bytes()
            try:
                receipt.verify(self.charter.agreement.member(site))
                header = upload_header(receipt.label, self.config, self.read_layout(), placement)
                if upload_digest(header, [upload]) != receipt.upload:
                    return f"the coordinator holds an upload other than the one {site} signed"
                adder.add(upload)
            except ConsortiumError as error:
                return f"the coordinator added an upload that {site} did not sign ({error.code})"
        return ""

    def _shown(self, server_round: int, folder: Path, right: bytes) -> ShownSum:
        updates = folder.name == "updates"
        return ShownSum.found(
            self.evidence,
            opening=self._opening_digest,
            server_round=server_round + 1,
            parts=("receipts", "sums") if updates else ("count-receipts", "count-sum"),
            kept=((folder / RECEIPTS_FILE).read_bytes(), right),
        )

    def _confirmed(self, server_round: int) -> ConfirmedSet | None:
        return confirmed_set(
            self.vault,
            server_round,
            charter=self.charter,
            opening=self.verified_opening(),
            evidence=self.evidence,
        )

    def _with_confirmations(
        self, check: SumCheck, summed: bytes, confirmed: ConfirmedSet
    ) -> SumCheck:
        """Return the verdict on a sum that was added right, given which set the sites confirmed."""
        if check.deviation:
            return check
        if not confirmed.is_confirmed:
            few = (
                f"{len(confirmed.confirmed_by)} of the {confirmed.needed} confirmations that it "
                "takes are kept, so nobody could read it"
            )
            return replace(check, undecided=few)
        if not confirmed.opens(check.what):
            return replace(check, undecided="the set that the sites confirmed does not open it")
        if not confirmed.covers(check.what, check.bucket, summed):
            other = (
                "the coordinator let the sites confirm another sum than that of the signed uploads"
            )
            return replace(check, deviation=other)
        refused = self._refused(summed)
        if refused:
            return self._with_refusals(check, refused)
        return replace(check, confirmed_by=confirmed.confirmed_by)

    def _refused(self, summed: bytes) -> tuple[str, ...]:
        """Return the sites that say that the checksum of this sum failed there."""
        digest = hashlib.sha256(summed).hexdigest()
        return tuple(one.site for one in self.evidence if digest in one.failed)

    def _with_evidence(self, check: SumCheck, summed: bytes, shown: ShownSum) -> SumCheck:
        """Return the verdict on a sum that was added right, given what sites were shown."""
        if not self.charter.coordinator_key:
            return replace(check, undecided="the charter names no key of the coordinator")
        told = shown.deviation()
        if told:
            return replace(check, deviation=told)
        if not shown.right:
            return replace(check, undecided="no site gave evidence that it was shown this sum")
        refused = self._refused(summed)
        return (
            self._with_refusals(check, refused) if refused else replace(check, shown_to=shown.right)
        )

    def _with_refusals(self, check: SumCheck, refused: tuple[str, ...]) -> SumCheck:
        """Return the verdict on a sum that is right, was shown so, and failed at these sites."""
        told = f"the checksum of this sum failed at {', '.join(refused)}"
        # One site's word convicts nobody. That of most sites of the run does, unless most lie.
        if 2 * len(refused) <= len(self.verified_opening().terms.roster):
            return replace(check, undecided=f"{told}, and not at more than half of the sites")
        return replace(
            check,
            deviation=f"one of {', '.join(check.sites)} spoiled its part: the coordinator added "
            f"and showed it correctly, and {told}",
        )
