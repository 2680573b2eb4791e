"""A kit: files that travel to one party, listed with their digests; none of them is secret."""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.run.records import write_atomically
from privacy.errors import ConsortiumError

MANIFEST = "kit.json"
_MOST_BYTES = 16_000_000
Role: TypeAlias = Literal["site", "coordinator"]
COORDINATOR: Role = "coordinator"

_PRIVATE = b"PRIVATE KEY-----"


class BadKit(ConsortiumError, ValueError):
    """A kit is not whole, not for this party, or not what its manifest says."""

    code = "bad-kit"


class Manifest(BaseModel):
    """What a kit holds.

    Args:
        party: The site it is for, or the coordinator.
        role: Which of the two.
        charter: Fingerprint of the charter.
        files: SHA-256 of each file, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    party: str
    role: Role
    charter: str
    files: Mapping[str, str]


def write_kit(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a kit as a directory and, beside it, as a `.tar.gz` of the same content.

    Raises:
        BadKit: A file holds a private key: those never travel.
    """
    for name, content in files.items():
        if _PRIVATE in content:
            raise BadKit(f"{name} holds a private key, and no kit may")
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = manifest.model_copy(update={"files": digests})
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    write_atomically(directory / MANIFEST, manifest.model_dump_json(indent=1))
    _pack_kit(directory)


@contextmanager
def open_kit(kit: Path) -> Iterator[Path]:
    """Yield a kit, a directory or a `.tar.gz`, as a directory; packed ones are temporary.

    Raises:
        BadKit: It is neither, or too large, or has files that are no plain files.
    """
    if kit.is_dir():
        yield kit
        return
    with tempfile.TemporaryDirectory(prefix="kit-") as folder:
        _unpack_kit(kit, Path(folder))
        yield Path(folder)


def read_kit(directory: Path, *, role: Role, party: str) -> tuple[Manifest, dict[str, bytes]]:
    """Return what a kit holds, every file checked against the manifest.

    Raises:
        BadKit: It is not for this party, or a file is missing, altered or not listed.
    """
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST).read_text())
    except (OSError, ValidationError) as error:
        raise BadKit(f"{directory} is not a kit: {error}") from error
    if (manifest.role, manifest.party) != (role, party):
        raise BadKit(f"this kit is for {manifest.role} {manifest.party}, not for {role} {party}")
    found = {path.name for path in directory.iterdir()} - {MANIFEST}
    if found != set(manifest.files):
        odd = ", ".join(sorted(found ^ set(manifest.files)))
        raise BadKit(f"the kit's files are not those of its manifest: {odd}")
    files = {name: (directory / name).read_bytes() for name in sorted(found)}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise BadKit(f"{name} is not the file that the kit's manifest lists")
    return manifest, files


def _pack_kit(directory: Path) -> None:
    """Pack a directory; the same content gives the same bytes."""
    with tarfile.open(directory.with_name(f"{directory.name}.tar.gz"), "w:gz") as archive:
        for path in sorted(directory.iterdir()):
            info = tarfile.TarInfo(path.name)
            content = path.read_bytes()
            info.size = len(content)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(content))


def _unpack_kit(packed: Path, folder: Path) -> None:
    try:
        with tarfile.open(packed, "r:gz") as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > _MOST_BYTES:
                raise BadKit(f"{packed} is too large for a kit")
            plain = all(member.isfile() and "/" not in member.name for member in members)
            if not plain:
                raise BadKit(f"{packed} holds more than the plain files of a kit")
            archive.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BadKit(f"{packed} is not a kit: {error}") from error
