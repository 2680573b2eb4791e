"""The digest by which logs name the program that answered, computed from its code.

An auditor computes it again from code that is at hand: a bundle, a clone, an installed package.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_PACKAGES = ("consortium", "sites", "strategies", "privacy")
_SUFFIX = ".py"


def program_digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of a program: of the names and contents of its modules.

    Args:
        files: Contents by name, such as `sites/task.py`. What a bundle holds besides the modules
            of the packages that it ships does not count.
    """
    modules = (
        name
        for name in files
        if name.endswith(_SUFFIX) and name.partition("/")[0] in _PACKAGES and "/" in name
    )
    digest = hashlib.sha256()
    for name in sorted(modules, key=lambda one: one.split("/")):
        digest.update(len(name.encode()).to_bytes(8, "big") + name.encode())
        digest.update(hashlib.sha256(files[name]).digest())
    return digest.hexdigest()


def read_program(folder: Path) -> Mapping[str, bytes]:
    """Return the modules below a folder that holds the packages, by name."""
    paths = [path for name in _PACKAGES for path in (folder / name).rglob(f"*{_SUFFIX}")]
    # In code that somebody else sent, such a name may be that of a device, which never ends.
    files = [path for path in paths if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@lru_cache(maxsize=1)
def package_digest() -> str:
    """Return the digest of the running program: of every module that a bundle ships."""
    return program_digest(read_program(Path(__file__).parents[2]))
