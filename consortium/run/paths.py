"""A path as an attribute of the class that owns its directory: declared once, in one line."""

from pathlib import Path
from typing import Protocol, Self, overload


class HasPath(Protocol):
    """Owns a directory, named by `path`."""

    @property
    def path(self) -> Path:
        """The directory."""


class PathIn:
    """A file or folder in the directory of the object whose class declares it.

    `config = PathIn("site.json")` gives `owner.config == owner.path / "site.json"`. What lies
    deeper is declared from its folder: `key = secrets / "node.key"`.

    Args:
        relative: Relative to the directory.
        absolute: Whether to resolve the path, for a process with another working directory.
    """

    def __init__(self, relative: str | Path, *, absolute: bool = False) -> None:
        self._relative = Path(relative)
        self._absolute = absolute

    def __truediv__(self, name: str) -> "PathIn":
        return PathIn(self._relative / name, absolute=self._absolute)

    @overload
    def __get__(self, owner: None, kind: type[object]) -> Self: ...

    @overload
    def __get__(self, owner: HasPath, kind: type[object]) -> Path: ...

    def __get__(self, owner: HasPath | None, kind: type[object]) -> "Self | Path":
        if owner is None:
            return self
        directory = owner.path.resolve() if self._absolute else owner.path
        return directory / self._relative
