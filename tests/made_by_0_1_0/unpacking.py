"""What version 0.1.0 left behind, in a folder where it may be changed."""

import io
import json
import lzma
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMING_PATHS = ("site.json", "order.json", "last-run")  # the files in which a whole path stands


def facts() -> dict[str, Any]:
    """Return what was written down when it was made: digests, epsilons, processor, time."""
    read: dict[str, Any] = json.loads((HERE / "facts.json").read_text())
    return read


@cache
def _archive() -> bytes:
    """Return the archive: to decompress it takes longer than all else."""
    return lzma.decompress((HERE / "made.tar.xz").read_bytes())


def unpack(name: str, folder: Path) -> Path:
    """Put one of the directories into a folder; return where it is.

    Guarantee: files and directories have the modes they had, secret ones 0600 and 0700. Paths in
    the files that began with where it was made begin with the folder: a person who moves a site
    edits these too.
    """
    with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
        wanted = [one for one in archive if Path(one.name).parts[0] == name]
        archive.extractall(folder, wanted, filter="tar")  # "data" would open the directories
    before, place = facts()["root"], folder / name
    for path in place.rglob("*"):
        if path.name in NAMING_PATHS:
            path.write_text(path.read_text().replace(before, str(folder)))
    return place
