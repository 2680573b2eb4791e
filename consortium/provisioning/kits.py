"""Write and read kits: files for one party, with a manifest of digests and no secrets."""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.charter.document import BadCharter
from privacy.errors import ConsortiumError
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically

MANIFEST = "kit.json"
_MOST_BYTES = 16_000_000
Role: TypeAlias = Literal["site", "coordinator", "hub"]
SITE: Role = "site"
COORDINATOR: Role = "coordinator"
HUB: Role = "hub"

_PRIVATE = b"PRIVATE KEY-----"
_PACKED = ".tar.gz"


class BadKit(ConsortiumError, ValueError, code="bad-kit"):
    """A kit is incomplete, for another party, or does not match its manifest."""


def require_kit_names(parties: Iterable[str]) -> None:
    """Check that the kits of all members and hubs, and that of the coordinator, have other names.

    A kit is a folder of its party's name, and beside it a file that ends in `.tar.gz`.

    Raises:
        BadCharter: Two kits would have one name, and one of them would be lost.
    """
    kits = Counter(kit for name in (COORDINATOR, *parties) for kit in (name, name + _PACKED))
    twice = sorted(kit for kit, times in kits.items() if times > 1)
    if twice:
        raise BadCharter(
            f"each party needs a kit with a name of its own, and two would be called {twice[0]} "
            f"(the coordinator's is called {COORDINATOR}): set the site or the hub up under "
            "another name"
        )


class Manifest(BaseModel):
    """The manifest of a kit.

    Args:
        party: The site or hub the kit is for; for the coordinator's kit, the consortium.
        role: Whether the party is a site, the coordinator or a hub.
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
    """Write a kit as a directory and, beside it, as a `.tar.gz` with the same content.

    Raises:
        BadKit: A file holds a private key.
    """
    for name, content in files.items():
        if _PRIVATE in content:
            raise BadKit(f"{name} holds a private key, which must not be in a kit")
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
    """Yield the directory of a kit; a `.tar.gz` is unpacked into a temporary directory.

    Raises:
        BadKit: It is neither a directory nor a `.tar.gz`, is too large, or holds anything but
            plain files.
    """
    if kit.is_dir():
        yield kit
        return
    with tempfile.TemporaryDirectory(prefix="kit-") as folder:
        _unpack_kit(kit, Path(folder))
        yield Path(folder)


def read_kit(directory: Path, *, role: Role, party: str) -> tuple[Manifest, dict[str, bytes]]:
    """Return a kit's manifest and files, each file checked against its digest.

    Raises:
        BadKit: The kit is not for this party, or a file is missing, altered or not listed.
    """
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BadKit(f"{directory} is not a kit: {document_mistakes(error, Manifest)}") from error
    if (manifest.role, manifest.party) != (role, party):
        raise BadKit(f"this kit is for {manifest.role} {manifest.party}, not for {role} {party}")
    found = {path.name for path in directory.iterdir()} - {MANIFEST}
    if found != set(manifest.files):
        odd = ", ".join(sorted(found ^ set(manifest.files)))
        raise BadKit(f"these files are missing from the kit or from its manifest: {odd}")
    files = {name: (directory / name).read_bytes() for name in sorted(found)}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise BadKit(f"{name} does not match its digest in the kit's manifest")
    return manifest, files


def _pack_kit(directory: Path) -> None:
    """Pack a directory, with fixed modes, times and owners in the archive."""
    with tarfile.open(directory.with_name(directory.name + _PACKED), "w:gz") as archive:
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
                raise BadKit(f"{packed} is too large for a kit: more than {_MOST_BYTES:,} bytes")
            plain = all(member.isfile() and "/" not in member.name for member in members)
            if not plain:
                raise BadKit(f"{packed} may hold plain files only, no folders and no links")
            # Python 3.11.2, which Debian 12 has, knows no filter that makes `extractall` safe.
            for member in members:
                content = archive.extractfile(member)
                (folder / member.name).write_bytes(b"" if content is None else content.read())
    except (OSError, tarfile.TarError, EOFError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else error
        raise BadKit(f"{packed} is not a kit: {reason}") from error
