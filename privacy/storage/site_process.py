"""What the process of a site keeps between messages, so as not to read or derive it again.

A process of a real institution serves one site; one that simulates a consortium serves hundreds.
So each cache is bounded, and what it lets go of is closed.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Values of one kind, each made once while it fits.

    Guarantee: there are at most `most`. The one asked for longest ago goes first; each one that
    goes, or is replaced, is closed.

    Args:
        most: At least 1.
        close: Lets go of what a value holds open.
    """

    def __init__(self, most: int, close: Callable[[Value], object] | None = None) -> None:
        self._most, self._close = most, close
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(
        self,
        key: Key,
        make: Callable[[], Value],
        *,
        fits: Callable[[Value], bool] | None = None,
    ) -> Value:
        """Return the value of a key; make it if there is none, or the one there does not fit."""
        if key in self._values and (fits is None or fits(self._values[key])):
            self._values.move_to_end(key)
            return self._values[key]
        made = make()
        self.put(key, made)
        return made

    def find(self, key: Key) -> Value | None:
        """Return the value of a key, if there is one."""
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in the place of the one before."""
        self._let_go(key)
        self._values[key] = value
        while len(self._values) > self._most:
            self._let_go(next(iter(self._values)))

    def clear(self) -> None:
        """Let go of everything."""
        for key in list(self._values):
            self._let_go(key)

    def forget(self, place: Path) -> None:
        """Let go of what belongs to a directory: its path, or one below, begins the key."""
        for key in list(self._values):
            first = key[0] if isinstance(key, tuple) else key
            if isinstance(first, Path) and first.is_relative_to(place):
                self._let_go(key)

    def _let_go(self, key: Key) -> None:
        value = self._values.pop(key, None)
        if value is not None and self._close is not None:
            self._close(value)


class SiteProcess:
    """All that a process keeps of the sites it serves."""

    def __init__(self) -> None:
        self._caches: dict[str, Cache[Any, Any]] = {}

    def cache(
        self, name: str, *, most: int, close: Callable[[Value], object] | None = None
    ) -> Cache[Key, Value]:
        """Return a new cache, which `clear` empties with the others.

        Args:
            name: What it holds; no other cache has it.
            most: How many values it may hold.
            close: Lets go of what a value holds open.

        Raises:
            ValueError: Another cache has this name.
        """
        if name in self._caches:
            raise ValueError(f"this process has a cache of {name}: give this one another name")
        made: Cache[Key, Value] = Cache(most, close)
        self._caches[name] = made
        return made

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many values there are, by the name of the cache."""
        return {name: len(cache) for name, cache in self._caches.items()}

    def forget(self, place: Path) -> None:
        """Let go of all that is kept of a site's directory, which is now another one's."""
        for cache in self._caches.values():
            cache.forget(place)

    def clear(self) -> None:
        """Let go of everything, as the end of the process would."""
        for cache in self._caches.values():
            cache.clear()


SITE_PROCESS = SiteProcess()
