"""The keyless auditor: did the coordinator add the uploads that the sites signed, and no others?

Adding ciphertexts is deterministic, and signed receipts fix the uploads. So anybody with the
charter and the coordinator's files can repeat the addition and compare, without a key.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.registry import recorded_mode
from consortium.protocol.parameters import count_placement, update_placement, upload_header
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.records import Summary, read_record
from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import Placement
from privacy.errors import ConsortiumError
from privacy.layout import Layout
from privacy.protocol.envelope import Receipt
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import decode_receipts
from privacy.protocol.upload import upload_digest
from sites.evaluation.contract import evaluation_for
from sites.statistics.contract import statistics_for
from strategies.coordinator.encrypted.ciphertext_sums import RECEIPTS_FILE, SUMS_FILE, upload_file
from strategies.coordinator.encrypted.progress import LAYOUT_FILE, OPENING_FILE


@dataclass(frozen=True, kw_only=True)
class SumCheck:
    """The auditor's verdict on one sum.

    Args:
        server_round: The round of the sum; 0 for the statistics.
        what: `updates`, `counts` or `statistics`.
        bucket: The number of the bucket.
        sites: The sites whose signed uploads it should be the sum of.
        deviation: What is wrong and who is responsible, in words; empty if nothing is wrong.
    """

    server_round: int
    what: str
    bucket: int
    sites: tuple[str, ...]
    deviation: str = ""


@dataclass(frozen=True)
class Auditor:
    """Repeats the sums of a coordinator.

    Args:
        charter: The charter, which has the members' public keys.
        config: The run config.
        vault: The coordinator's evidence store.
    """

    charter: Charter
    config: RunConfig
    vault: EvidenceStore

    @classmethod
    def for_run(cls, run: RunDirectory) -> "Auditor":
        """Return the auditor of a run's directory.

        Raises:
            BadRunDirectory: The directory is not that of an encrypted run.
        """
        summary = read_record(run.summary, Summary)
        if not recorded_mode(summary.config).keeps_signed_sums:
            raise BadRunDirectory(
                f"{run.path} is a run in the clear: only an encrypted run keeps signed uploads"
            )
        return cls(
            Charter.read(run.charter), RunConfig.parse(summary.config), EvidenceStore(run.vault)
        )

    def check_sums(self) -> Iterator[SumCheck]:
        """Check each sum whose uploads are kept; yield the verdicts.

        Raises:
            ConsortiumError: The files do not belong to a run under this charter.
        """
        self.verified_opening()
        for server_round in self.vault.rounds():
            folder = self.vault.folder / f"round-{server_round}"
            for receipts in sorted(folder.glob(f"*/{RECEIPTS_FILE}")):
                yield from self._check_folder(server_round, receipts.parent)

    def verified_opening(self) -> Opening:
        """Return the run's opening after checking its signature.

        Raises:
            BadSignature: The member it names did not sign it.
        """
        opening = Opening.decode(self.vault.read(OPENING_FILE))
        opening.verify(self.charter.agreement.member(opening.terms.opener))
        return opening

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
                size = statistics_for(self.charter.table).layout.size
            case _:
                size = evaluation_for(self.charter.table).layout.size
        return count_placement(self.config, self.charter, size)

    def _check_folder(self, server_round: int, folder: Path) -> Iterator[SumCheck]:
        placement = self.placement(folder.name, server_round)
        receipts = decode_receipts((folder / RECEIPTS_FILE).read_bytes())
        published = (folder / SUMS_FILE).read_bytes()
        buckets = sorted({receipt.label.bucket for receipt in receipts})
        for index, bucket in enumerate(buckets):
            mine = [receipt for receipt in receipts if receipt.label.bucket == bucket]
            said = published[index * placement.sum_bytes : (index + 1) * placement.sum_bytes]
            yield SumCheck(
                server_round=server_round,
                what=folder.name,
                bucket=bucket,
                sites=tuple(receipt.label.site for receipt in mine),
                deviation=self._deviation(folder, placement, mine, said),
            )

    def _deviation(
        self, folder: Path, placement: Placement, receipts: list[Receipt], said: bytes
    ) -> str:
        adder = Adder(placement)
        for receipt in receipts:
            site = receipt.label.site
            path = folder / upload_file(site)
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
        if adder.sum() != said:
            return "the coordinator published a sum other than that of the signed uploads"
        return ""
