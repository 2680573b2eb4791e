"""Secret files: private from their creation, and read only if they are private."""

import os
import stat
from pathlib import Path

from privacy.errors import ConsortiumError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretExists(ConsortiumError, FileExistsError, code="secret-exists"):
    """The secret file exists already. Secrets are never overwritten."""


class SecretMissing(ConsortiumError, FileNotFoundError, code="secret-missing"):
    """There is no secret file to read."""


class ExposedSecret(ConsortiumError, PermissionError, code="exposed-secret"):
    """Somebody other than the owner can access a secret file or its directory."""


class MalformedSecretFile(ConsortiumError, ValueError, code="malformed-secret-file"):
    """A secret file does not hold the expected secret, or only part of it."""


def write_secret(path: Path, *, tag: bytes, secret: bytes) -> None:
    """Write a new secret file: mode 0600 from its creation, in a directory of mode 0700.

    Guarantee: on return the file is on the disk, not only in a cache.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: Other users can access the directory.
    """
    write_private(path, tag + secret.hex().encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a new file as `write_secret` does, but with any content, for other programs.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: Other users can access the directory.
    """
    make_private_directory(path.parent)
    # The mode is given at creation: a later chmod would leave a moment in which others can open it.
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise SecretExists(
            f"{path} exists and is not overwritten: move it away if it may be replaced"
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_secret(path: Path, *, tag: bytes, size: int) -> bytes:
    """Read the secret of `size` bytes that `write_secret` wrote under the same tag.

    Raises:
        SecretMissing: There is no such file.
        ExposedSecret: It is not a plain file, or others can read or write it.
        MalformedSecretFile: It holds something else.
    """
    # NONBLOCK: opening a named pipe in the place of the file must not hang.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SecretMissing(f"there is no secret at {path}") from error
    except OSError as error:
        raise ExposedSecret(f"{path} cannot be opened as a plain file") from error
    with os.fdopen(handle, "rb") as file:
        # Of the open file, not of the path: the path could be replaced between check and read.
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & _OTHERS:
            raise ExposedSecret(
                f"{path} must be a plain file of mode 0600, it has mode "
                f"{stat.S_IMODE(facts.st_mode):04o}: assume that others know the secret"
            )
        # One byte more than expected, so that a longer file is noticed.
        content = file.read(len(tag) + 2 * size + 2)
    return _parse(content, path=path, tag=tag, size=size)


def make_private_directory(directory: Path) -> None:
    """Make a directory that only its owner can access, or check the one that exists.

    Raises:
        ExposedSecret: It exists and other users can access it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & _OTHERS:
        raise ExposedSecret(f"{directory} must have mode 0700 to hold secrets, it has {mode:04o}")


def sync_directory(directory: Path) -> None:
    """Sync a directory: on return, the names of its files are on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parse(content: bytes, *, path: Path, tag: bytes, size: int) -> bytes:
    digits = content[len(tag) : -1]
    well_formed = content == tag + digits + b"\n" and len(digits) == 2 * size
    if not well_formed or set(digits) - set(b"0123456789abcdef"):
        raise MalformedSecretFile(f"{path} does not hold a complete {tag.decode().rstrip()}")
    return bytes.fromhex(digits.decode())
