"""Every mode, by the name that a run config has for it.

This module loads nothing: `consortium.config` stands below the modes and names one of them.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from consortium.config import RunConfig
    from consortium.modes.contract import Mode

ModeName: TypeAlias = Literal["clear", "encrypted"]


def _clear() -> "Mode":
    from consortium.modes.clear import InTheClear

    return InTheClear()


def _encrypted() -> "Mode":
    from consortium.modes.encrypted import Encrypted

    return Encrypted()


def _masked() -> "Mode":
    from consortium.modes.masked import Masked

    return Masked()


_MODES: Mapping[ModeName, Callable[[], "Mode"]] = MappingProxyType(
    {
        "clear": _clear,
        "encrypted": _encrypted,
    }
)


# What masks make of a mode; a run in the clear has nothing to close, so they change nothing there.
_WITH_MASKS: Mapping[ModeName, Callable[[], "Mode"]] = MappingProxyType({"encrypted": _masked})


@lru_cache
def mode_named(name: ModeName, *, masks: bool = False) -> "Mode":
    """Return a mode by its name, with or without masks; the same object each time."""
    return _WITH_MASKS.get(name, _MODES[name])() if masks else _MODES[name]()


def recorded_mode(config: Mapping[str, object]) -> "Mode":
    """Return the mode of a run that was recorded.

    Args:
        config: The flat run config in its summary.

    Raises:
        KeyError: This version knows no such mode.
    """
    # A summary may name no mode; then the run was in the clear, the default. Nor masks, the same.
    name = cast(ModeName, config.get("aggregation", "clear"))
    return mode_named(name, masks=bool(config.get("masks", False)))


def mode_of(config: "RunConfig") -> "Mode":
    """Return the mode of a run."""
    return mode_named(config.aggregation, masks=config.masks)
