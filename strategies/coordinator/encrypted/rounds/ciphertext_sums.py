"""The sums of one question of an encrypted run: uploads are checked and added as they arrive."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from privacy import canonical
from privacy.encryption.ciphertext_sum import Adder, uploaded_rows
from privacy.encryption.parameters import Placement
from privacy.identity.public_identity import PublicIdentity
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt, Slot, UploadLabel
from privacy.protocol.grouping import COUNTED, RECOUNTED, WITHHELD
from privacy.protocol.receipts import (
    NoMajority,
    NotInRoster,
    ReceiptAltered,
    WrongBucket,
    WrongWeightClass,
    join_receipts,
    majority_state,
)
from privacy.protocol.upload import UploadHeader, upload_digest

RECEIPTS_FILE = "receipts.bin"
SUMS_FILE = "sums.bin"
HUB_FILES = "upload-+*.bin"  # kept and deleted as uploads are; no site's name has a plus
MAX_STATEMENT_BYTES = 2**18

Keep = Callable[[str, Iterable[bytes]], None]


def upload_file(site: str) -> str:
    """Return the name of the file that keeps a site's upload."""
    return f"upload-{site}.bin"


def hub_file(statement: bytes) -> str:
    """Return the name of the file that keeps a hub's sum with its statement."""
    return HUB_FILES.replace("*", hashlib.sha256(statement).hexdigest()[:32])


@dataclass(frozen=True, kw_only=True)
class UploadForm:
    """The agreed form of an upload: one for updates, one for tallies.

    Args:
        name: Its name in the coordinator's files.
        placement: The agreed form of the ciphertexts.
        header: Returns the agreed header of an upload, from its label.
        buckets: Number of buckets; 1 for tallies.
        weight_classes: Weight classes that a receipt may claim; for tallies counted or withheld.
    """

    name: str
    placement: Placement
    header: Callable[[UploadLabel], UploadHeader]
    buckets: int = 1
    weight_classes: tuple[int, ...] = (COUNTED, WITHHELD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """What is kept in memory of an upload that was added.

    Args:
        bucket: The bucket to whose sum it was added.
        state: Digest of the sealed state that its receipt signs.
        receipt: The encoded receipt.
        weight_class: The weight class that it claims.
    """

    bucket: int
    state: bytes
    receipt: bytes
    weight_class: int


@dataclass
class CiphertextSums:
    """The uploads of one slot, added up by bucket, with their receipts.

    Guarantee: every upload that is added was signed by a site of the roster for exactly this slot,
    and each site's upload is added once. Memory is one sum per bucket and the receipts.

    Args:
        form: The agreed form of an upload.
        slot: The slot that each upload fills.
        roster: Public identities of the sites of the run.
        keep: Stores uploads for an auditor.
        added: The uploads that were added, by site.
    """

    form: UploadForm
    slot: Slot
    roster: Mapping[str, PublicIdentity]
    keep: Keep
    added: dict[str, Added] = field(default_factory=dict)
    _adders: dict[int, Adder] = field(default_factory=dict)

    def check(self, site: str, upload: bytes, encoded: bytes) -> Receipt:
        """Check everything about an upload that needs no key; return its receipt.

        Raises:
            ConsortiumError: The receipt is another site's, belongs to another slot or is not
                signed; or the upload is not the one it names, or does not have the agreed form.
        """
        receipt = self.check_receipt(site, encoded)
        uploaded_rows(upload, self.form.placement)
        if upload_digest(self.form.header(receipt.label), [upload]) != receipt.upload:
            raise ReceiptAltered(f"{site} signed another upload than the one that it sent")
        return receipt

    def check_receipt(self, site: str, encoded: bytes) -> Receipt:
        """Check everything about a receipt that needs neither a key nor the upload; return it.

        Raises:
            ConsortiumError: It is another site's, belongs to another slot or is not signed.
        """
        receipt = Receipt.decode(encoded)
        label = receipt.label
        label.slot.require_slot(self.slot)
        if label.site != site or site not in self.roster:
            raise NotInRoster(f"{site} sent a receipt of {label.site}")
        if label.bucket >= self.form.buckets:
            raise WrongBucket(
                f"there are {self.form.buckets} buckets, the receipt claims bucket {label.bucket}",
                came=label.bucket,
            )
        if label.weight_class not in self.form.weight_classes:
            raise WrongWeightClass(
                f"this run allows weight classes {self.form.weight_classes}, the receipt claims "
                f"{label.weight_class}",
                came=label.weight_class,
            )
        # The bucket is only bounded here. The coordinator does not know the seed that assigns
        # buckets, so the sites check them.
        receipt.verify(self.roster[site])
        return receipt

    def add(self, upload: bytes, receipt: Receipt) -> None:
        """Add a checked upload to the sum of its bucket."""
        label = receipt.label
        adder = self._adders.get(label.bucket) or Adder(self.form.placement)
        adder.add(upload)
        self._adders[label.bucket] = adder
        self._note(receipt)
        self.keep(f"{self.folder}/{upload_file(label.site)}", [upload])

    def check_sum(self, summed: bytes, receipts: Sequence[Receipt]) -> None:
        """Check that the sum of a hub can be added, as `add_sum` does, and add nothing."""
        adder = self._adders.get(receipts[0].label.bucket) or Adder(self.form.placement)
        adder.check_sum(summed, uploads=len(receipts))

    def add_sum(self, summed: bytes, receipts: Sequence[Receipt], statement: bytes) -> None:
        """Add the sum of the uploads of checked receipts of one bucket, which a hub added.

        Args:
            summed: The sum, from a hub that is not trusted.
            receipts: Of the uploads, whose sites are in no other sum.
            statement: The hub's signed statement of the sum, kept with it for an auditor.

        Raises:
            MalformedCiphertext, TooManyUploads: It is no sum of so many uploads; nothing is added.
        """
        bucket = receipts[0].label.bucket
        adder = self._adders.get(bucket) or Adder(self.form.placement)
        adder.add_sum(summed, uploads=len(receipts))
        self._adders[bucket] = adder
        for receipt in receipts:
            self._note(receipt)
        self.keep(f"{self.folder}/{hub_file(statement)}", [canonical.blob(statement), summed])

    def _note(self, receipt: Receipt) -> None:
        label = receipt.label
        self.added[label.site] = Added(
            bucket=label.bucket,
            state=label.state,
            receipt=receipt.encode(),
            weight_class=label.weight_class,
        )

    def finish_parts(self) -> Iterator[tuple[list[Receipt], bytes]]:
        """Yield what a hub passes on of each bucket: its receipts and its sum, which is freed."""
        for bucket, adder in sorted(self._adders.items()):
            signed = [one.receipt for one in self.added.values() if one.bucket == bucket]
            yield [Receipt.decode(one) for one in signed], adder.sum()
        self._adders.clear()

    @property
    def folder(self) -> str:
        """Folder of this question's files, relative to the coordinator's directory."""
        return f"round-{self.slot.server_round}/{self.form.name}"

    def buckets(self, *, floor: int) -> tuple[int, ...]:
        """Return the buckets that hold at least `floor` sites, in order."""
        sizes = Counter(one.bucket for one in self.added.values())
        return tuple(sorted(bucket for bucket, size in sizes.items() if size >= floor))

    def counted_sites(self, *, floor: int) -> list[str]:
        """Return the sites of these buckets, sorted: the sites whose uploads count."""
        kept = self.buckets(floor=floor)
        return sorted(site for site, one in self.added.items() if one.bucket in kept)

    def finish_sums(self, *, floor: int) -> tuple[bytes, bytes]:
        """Store and return the receipts and sums, encoded, of the buckets that reach the floor.

        Nothing can be added to these buckets afterwards: their ciphertexts are freed.
        """
        return self.finish_buckets(self.buckets(floor=floor))

    def finish_buckets(self, buckets: Collection[int]) -> tuple[bytes, bytes]:
        """Store and return the receipts and sums, encoded, of these buckets, as `finish_sums`."""
        counted = sorted(site for site, one in self.added.items() if one.bucket in buckets)
        encoded = join_receipts([self.added[site].receipt for site in counted])
        gathered = BytesIO()
        for bucket in sorted(buckets):
            gathered.writelines(self._adders.pop(bucket).parts())
        sums = gathered.getvalue()
        self.keep(f"{self.folder}/{RECEIPTS_FILE}", [encoded])
        self.keep(f"{self.folder}/{SUMS_FILE}", [sums])
        return encoded, sums

    @property
    def withheld(self) -> tuple[str, ...]:
        """The sites that sealed zeros in the place of their tally, and say so; sorted."""
        return self._sites_of_class(WITHHELD)

    @property
    def recounted(self) -> tuple[str, ...]:
        """The sites that say that their operator had their statistics counted again; sorted."""
        return self._sites_of_class(RECOUNTED)

    def _sites_of_class(self, weight_class: int) -> tuple[str, ...]:
        added = self.added.items()
        return tuple(sorted(site for site, one in added if one.weight_class == weight_class))

    def agreed_state(self, *, floor: int) -> bytes | None:
        """Return the state digest that more than half of the run's sites sign, or None."""
        signed = (self.added[site].state for site in self.counted_sites(floor=floor))
        try:
            return majority_state(signed, roster=len(self.roster))
        except NoMajority:
            return None


@dataclass
class MajorityVote:
    """A vote on a released tally: it is believed if more than half of the sites released it.

    Guarantee: a tally that several sites release is held in memory once.
    """

    _votes: Counter[bytes] = field(default_factory=Counter)
    _tallies: dict[bytes, Tally] = field(default_factory=dict)
    _voters: int = 0

    def cast(self, released: Tally | None) -> None:
        """Count the tally that a site released, or that it released nothing."""
        self._voters += 1
        if released is not None:
            digest = hashlib.sha256(released.tobytes()).digest()
            self._votes[digest] += 1
            self._tallies.setdefault(digest, released)

    def majority_tally(self) -> Tally | None:
        """Return the tally that more than half of the sites released, or None."""
        for digest, votes in self._votes.items():
            if 2 * votes > self._voters:
                return self._tallies[digest]
        return None
