"""Secret files: private from their creation, and read only if they are private.

Private means: of this user, for nobody else to read or write, and in a place where nobody else can
put another file. OpenSSH asks the same of its keys.
"""

import os
import shlex
import stat
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.storage.durable_files import sync_directory

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 65_536  # a private key has a few thousand


class SecretExists(ConsortiumError, FileExistsError, code="secret-exists"):
    """The secret file exists already. Secrets are never overwritten."""


class SecretMissing(ConsortiumError, FileNotFoundError, code="secret-missing"):
    """There is no secret file to read."""


class ExposedSecret(ConsortiumError, PermissionError, code="exposed-secret"):
    """Somebody else owns or can access a secret file, its directory, or one above it."""


class MalformedSecretFile(ConsortiumError, ValueError, code="malformed-secret-file"):
    """A secret file does not hold the expected secret, or only part of it."""


def write_secret(path: Path, *, tag: bytes, secret: bytes) -> None:
    """Write a new secret file: mode 0600 from its creation, in a directory of mode 0700.

    Guarantee: on return the file is on the disk, not only in a cache.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: As `make_private_directory`.
    """
    write_private(path, tag + secret.hex().encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a new file as `write_secret` does, but with any content, for other programs.

    Raises:
        SecretExists: There is a file (or a link) of that name.
        ExposedSecret: As `make_private_directory`.
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
        SecretMissing, ExposedSecret: As `read_private`.
        MalformedSecretFile: It holds something else.
    """
    # One byte more than expected, so that a longer file is noticed.
    content = read_private(path, at_most=len(tag) + 2 * size + 2)
    return _parse(content, path=path, tag=tag, size=size)


def read_private(path: Path, *, at_most: int = _MOST_BYTES) -> bytes:
    """Read the first bytes of a file that `write_private` wrote.

    Raises:
        SecretMissing: There is no such file.
        ExposedSecret: It is not a plain file of this user's that nobody else can read or write, or
            somebody else can put another one in its place.
    """
    # NONBLOCK: opening a named pipe in the place of the file must not hang.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SecretMissing(f"there is no secret at {path}") from error
    except OSError as error:
        raise ExposedSecret(f"{path} cannot be opened as a plain file") from error
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        os.close(handle)
        raise ExposedSecret(f"{path} is a folder and no plain file")
    with os.fdopen(handle, "rb") as file:
        require_private_place(path.parent)
        # Of the open file, not of the path: the path could be replaced between check and read.
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & _OTHERS:
            raise ExposedSecret(
                f"{path} must be a plain file of mode 0600, it has mode "
                f"{stat.S_IMODE(facts.st_mode):04o}: assume that others know the secret"
            )
        if facts.st_uid != os.geteuid():
            raise ExposedSecret(
                f"{path} belongs to user {facts.st_uid}, who knows the secret, and not to user "
                f"{os.geteuid()}, who runs this: run it as that user or, if only the copying went "
                f"wrong, `sudo chown {os.geteuid()} {shlex.quote(str(path))}`"
            )
        return file.read(at_most)


def make_private_directory(directory: Path) -> None:
    """Make a directory that only this user can access, or check the one that exists.

    Raises:
        ExposedSecret: It exists and other users can access it, or it belongs to one of them; or
            as `require_private_place`.
    """
    for missing in reversed([one for one in directory.parents if not one.exists()]):
        missing.mkdir(mode=0o755, exist_ok=True)  # whatever the umask: no other user writes there
    directory.mkdir(mode=0o700, exist_ok=True)
    facts = directory.stat()
    if facts.st_mode & _OTHERS:
        raise ExposedSecret(
            f"{directory} must have mode 0700 to hold secrets, it has "
            f"{stat.S_IMODE(facts.st_mode):04o}"
        )
    require_private_place(directory)


def require_private_place(directory: Path) -> None:
    """Check that nobody else can replace a directory, or one above it, by another.

    Each must belong to this user or to root, and others must not be able to write to it. Allowed
    is what is no danger: a directory with the sticky bit, like `/tmp`, where nobody moves what is
    another's, and one for a group whose number is that of its owner, which Linux gives a user
    alone.

    Raises:
        ExposedSecret: One of them belongs to another user, or others can write to it.
    """
    # Text, as a store asks this whenever it is opened, and `Path` takes twice as long.
    named = os.path.abspath(directory)  # noqa: PTH100 -- resolve() would skip the links
    real = os.path.realpath(directory)
    for one in dict.fromkeys((*_with_those_above(named), *_with_those_above(real))):
        link = os.lstat(one)  # who owns a link can turn it elsewhere
        facts = Path(one).stat() if stat.S_ISLNK(link.st_mode) else link
        for owner, option in ((link.st_uid, " -h"), (facts.st_uid, "")):
            if owner in {0, os.geteuid()}:
                continue
            raise ExposedSecret(
                f"{one} belongs to user {owner}, who could put other secrets there: run "
                f"this as that user, or move the secrets, or `sudo chown{option} {os.geteuid()} "
                f"{shlex.quote(one)}`"
            )
        own_group = facts.st_gid == facts.st_uid
        open_to = stat.S_IWOTH if own_group else stat.S_IWOTH | stat.S_IWGRP
        if facts.st_mode & open_to and not facts.st_mode & stat.S_ISVTX:
            raise ExposedSecret(
                f"others can write to {one} (mode {stat.S_IMODE(facts.st_mode):04o}), and so put "
                f"other secrets there: `chmod go-w {shlex.quote(one)}`"
            )


def _with_those_above(path: str) -> list[str]:
    """Return the root, each directory on the way to an absolute path, and the path."""
    parts = path.strip("/").split("/")
    return ["/", *("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))]


def _parse(content: bytes, *, path: Path, tag: bytes, size: int) -> bytes:
    digits = content[len(tag) : -1]
    well_formed = content == tag + digits + b"\n" and len(digits) == 2 * size
    if not well_formed or set(digits) - set(b"0123456789abcdef"):
        raise MalformedSecretFile(f"{path} does not hold a complete {tag.decode().rstrip()}")
    return bytes.fromhex(digits.decode())
