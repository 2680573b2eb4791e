"""The sums that hubs passed on, as the coordinator kept them: are they of the signed uploads?"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consortium.charter.document import Charter
from privacy.canonical import Reader
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import Receipt
from privacy.protocol.hub_sums import HubSum, receipts_digest
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
