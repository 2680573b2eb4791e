"""The form in which an update travels in one round in the clear, and what it leaves for the next.

Error feedback (Seide et al. 2014; Karimireddy et al. 2019, arXiv:1901.09847): what a codec lost of
an update is added to the next one before that is written.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.compression.codecs import BadCompression, Codec, Numbers
from privacy.compression.plan import Places
from privacy.layout import Layout


@dataclass(frozen=True, eq=False, kw_only=True)
class Packed:
    """An update as it travels.

    Args:
        data: What is sent.
        left: What is not, shape (dim,): the memory for the next update.
    """

    data: bytes
    left: Numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class UpdateForm:
    """How an update is written in one round: both ends derive it alike.

    Args:
        layout: Of the federated vector.
        codec: How its numbers are written.
        places: Of those that are sent, sorted; None for all.
    """

    layout: Layout
    codec: Codec
    places: Places | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of an update, whatever is in it."""
        size = self.layout.dim if self.places is None else self.places.size
        return self.codec.num_bytes(size, len(self.layout.fields))

    def pack(self, update: NDArray[np.floating], memory: Numbers | None) -> Packed:
        """Return an update as it travels, with what was left of the last ones.

        Guarantee: what is sent and what is left add up to the update and the memory, up to the
        rounding of float32. Numbers that are not sent in this form are left.

        Args:
            update: Shape (dim,).
            memory: What the last updates left, shape (dim,); None at the start.

        Raises:
            BadCompression: Together they hold a value that is not finite.
        """
        with np.errstate(over="ignore"):
            wanted = np.asarray(update, np.float32) + (0 if memory is None else memory)
        if not np.isfinite(wanted).all():
            raise BadCompression("only finite numbers are compressed: lower the learning rate")
        data = self.write(wanted)
        return Packed(data=data, left=wanted - self.read(data))

    def write(self, update: NDArray[np.floating]) -> bytes:
        """Return numbers of shape (dim,) as they travel."""
        numbers = np.asarray(update, np.float32)
        chosen = numbers if self.places is None else numbers[self.places]
        return self.codec.write(chosen, self._lengths)

    def read(self, data: bytes) -> Numbers:
        """Return the update that a peer sent, shape (dim,), with zeros where nothing is sent.

        Raises:
            BadCompression: The bytes are not of this form.
        """
        if len(data) != self.num_bytes:
            raise BadCompression(
                f"a compressed update of {self.num_bytes} bytes was agreed, {len(data)} came",
                needed=self.num_bytes,
                came=len(data),
            )
        numbers = self.codec.read(data, self._lengths)
        if self.places is None:
            return numbers
        update = np.zeros(self.layout.dim, np.float32)
        update[self.places] = numbers
        return update

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        """How many numbers are sent of each array."""
        sizes = [item.size for item in self.layout.fields]
        if self.places is None:
            return tuple(sizes)
        # A place belongs to the array whose end is the first one behind it.
        ends = np.searchsorted(self.places, np.cumsum(sizes))
        return tuple(np.diff(ends, prepend=0).tolist())
