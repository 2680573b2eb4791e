"""Sides of persons in tests that need some: those of a site with this secret."""

from sites.data.holdout import KeyedSides


def keyed(number: int) -> KeyedSides:
    """Return the rule of a site, another one for each number."""
    return KeyedSides(bytes([number]) * 32)
