"""What a coordinator does in each mode: the one table of this end.

A module of its own because it imports both halves, and neither half may import the other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from consortium.config import RunConfig
from consortium.coordinator.clear_run import ClearAtCoordinator
from consortium.coordinator.encrypted_run import EncryptedAtCoordinator
from consortium.coordinator.led_run import LedRun
from consortium.modes.clear import InTheClear
from consortium.modes.contract import Mode, half_of
from consortium.modes.encrypted import Encrypted
from consortium.modes.registry import mode_of


class CoordinatorMode(Protocol):
    """The coordinator's half of a mode."""

    def lead(self, led: LedRun) -> None:
        """Run to the end, or go on where the run's directory says that it stands.

        Guarantee: `led.ending` is what is kept, from the moment it is, so that it is right
        however the run ends.
        """
        ...


_AT_COORDINATOR: Mapping[type[Mode], CoordinatorMode] = MappingProxyType(
    {InTheClear: ClearAtCoordinator(), Encrypted: EncryptedAtCoordinator()}
)


def at_coordinator(config: RunConfig) -> CoordinatorMode:
    """Return what a coordinator does in the mode of a run."""
    return half_of(mode_of(config), _AT_COORDINATOR)
