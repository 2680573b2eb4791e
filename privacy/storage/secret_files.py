"""Files that hold a secret: readable by their owner from the first moment on, or not read."""

import os
import stat
from pathlib import Path

from privacy.errors import ConsortiumError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretExists(ConsortiumError, FileExistsError):
    """A secret file stands there already; secrets are never overwritten."""

    code = "secret-exists"


class SecretMissing(ConsortiumError, FileNotFoundError):
    """There is no secret file to read."""

    code = "secret-missing"


class ExposedSecret(ConsortiumError, PermissionError):
    """Somebody other than the owner may get at a secret file."""

    code = "exposed-secret"


class MalformedSecretFile(ConsortiumError, ValueError):
    """A secret file does not hold what it should, or only part of it."""

    code = "malformed-secret-file"


def write_secret(path: Path, *, tag: bytes, secret: bytes) -> None:
    """Write a new secret file: mode 0600 from its creation, in a directory of mode 0700.

    Guarantee: on return the file is on the disk, not only in a cache.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: The directory is open to others.
    """
    write_private(path, tag + secret.hex().encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a new file as `write_secret` does, in a form that other programs define.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: The directory is open to others.
    """
    make_private_directory(path.parent)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise SecretExists(f"{path} exists: move it away if it may be replaced") from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_secret(path: Path, *, tag: bytes, size: int) -> bytes:
    """Read what `write_secret` wrote under the same tag, `size` bytes.

    Raises:
        SecretMissing: There is no such file.
        ExposedSecret: It is no plain file, or one that others may read or write.
        MalformedSecretFile: It holds something else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SecretMissing(f"there is no secret at {path}") from error
    except OSError as error:
        raise ExposedSecret(f"{path} cannot be opened as a plain file") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & _OTHERS:
            raise ExposedSecret(
                f"{path} must be a plain file of mode 0600, it has mode "
                f"{stat.S_IMODE(facts.st_mode):04o}: take it as known to others"
            )
        content = file.read(len(tag) + 2 * size + 2)
    return _parse(content, path=path, tag=tag, size=size)


def make_private_directory(directory: Path) -> None:
    """Make sure of a directory that only its owner can look into.

    Raises:
        ExposedSecret: It exists and is open to others.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & _OTHERS:
        raise ExposedSecret(f"{directory} must have mode 0700 to hold secrets, it has {mode:04o}")


def sync_directory(directory: Path) -> None:
    """Return when the names in a directory are on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parse(content: bytes, *, path: Path, tag: bytes, size: int) -> bytes:
    digits = content[len(tag) : -1]
    well_formed = content == tag + digits + b"\n" and len(digits) == 2 * size
    if not well_formed or set(digits) - set(b"0123456789abcdef"):
        raise MalformedSecretFile(f"{path} does not hold a whole {tag.decode().rstrip()}")
    return bytes.fromhex(digits.decode())
