"""The sums that hubs passed on, as the coordinator kept them: are they of the signed uploads?"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.hub_directory import HubDirectory, require_hub, run_of_hub
from consortium.run.party_directory import CoordinatorDirectory
from privacy.canonical import Reader
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import Receipt
from privacy.protocol.hub_sums import HubSum, receipts_digest
from privacy.wire.hub_messages import run_name
from strategies.coordinator.encrypted.rounds.ciphertext_sums import HUB_FILES, MAX_STATEMENT_BYTES


@dataclass(frozen=True, kw_only=True)
class KeptPart:
    """A sum of a hub, and the hub's statement of it.

    Args:
        said: The statement.
        summed: The sum.
    """

    said: HubSum
    summed: bytes = field(repr=False)

    def deviation(self, charter: Charter, receipts: Sequence[Receipt]) -> str:
        """Return what is wrong, in words, with what the coordinator kept; empty if nothing.

        Args:
            charter: Names the hub's key.
            receipts: Of the sites in the sum.
        """
        hub = next((one for one in charter.hubs if one.name == self.said.hub), None)
        if hub is None:
            return f"the coordinator added a sum of {self.said.hub}, which is no hub"
        try:
            self.said.require_signed(bytes.fromhex(hub.signing))
        except ConsortiumError:
            return f"the coordinator added a sum that {hub.name} did not sign"
        told = (self.said.receipts, self.said.summed)
        if told != (receipts_digest(receipts), hashlib.sha256(self.summed).digest()):
            return f"the coordinator holds a sum other than the one {hub.name} signed"
        return ""


def kept_parts(folder: Path, receipts: Mapping[str, Receipt]) -> Iterator[KeptPart]:
    """Yield the kept sums of hubs over sites with these receipts, of the same slot and bucket.

    Args:
        folder: The folder of a sum at the coordinator.
        receipts: Those of the sum, by site.
    """
    for path in sorted(folder.glob(HUB_FILES)):
        reader = Reader(path.read_bytes(), tag=b"")
        said = HubSum.decode(reader.blob(at_most=MAX_STATEMENT_BYTES))
        summed = reader.rest(at_most=path.stat().st_size)
        place = (said.slot, said.bucket)
        if all(
            site in receipts and (receipts[site].label.slot, receipts[site].label.bucket) == place
            for site in said.sites
        ):
            yield KeptPart(said=said, summed=summed)


def hub_vaults(
    run: RunDirectory, charter: Charter, config: RunConfig, directories: Iterable[Path]
) -> dict[str, EvidenceStore]:
    """Return what hubs kept of a run, by hub: of those whose files are here.

    Args:
        run: The directory of the coordinator's run.
        charter: Names the hubs.
        config: Of the run.
        directories: Of hubs; those of a run on one machine are found beside it.

    Raises:
        NotACoordinator: One is not the directory of a hub.
    """
    places = {hub.name: run.hub(hub.name).path for hub in charter.hubs}
    places |= {require_hub(path): path for path in directories}
    name = run_of_hub(run_name(run.path.name), config.digest)
    kept = {
        hub: next((one for one in _vaults_in(path, name) if one.exists()), None)
        for hub, path in places.items()
    }
    return {hub: EvidenceStore(folder) for hub, folder in kept.items() if folder is not None}


def _vaults_in(directory: Path, run: str) -> tuple[Path, Path]:
    """Return where a hub keeps uploads: of a run in process, or on its own SuperLink."""
    deployed = RunDirectory(CoordinatorDirectory(directory).run(run))
    return HubDirectory(directory).vault, deployed.vault
