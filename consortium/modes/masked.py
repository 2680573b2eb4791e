"""An encrypted run with masks: the coordinator together with a few sites opens no upload."""

from typing import ClassVar

from consortium.modes.encrypted import Encrypted


class Masked(Encrypted):
    """Under the run's key, pairs of sites close each upload once more, with masks that cancel.

    What a mask hides opens only in a sum that enough sites have signed before.
    """

    name: ClassVar[str] = "masked"
