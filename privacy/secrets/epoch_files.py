"""The current epoch of a site: secrets in files, the last epoch number in the site's memory."""

from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.secrets.keys import EpochSecret
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.durable_files import sync_directory
from privacy.storage.secret_files import SecretExists


class NoEpoch(ConsortiumError, LookupError, code="no-epoch"):
    """This site has not accepted an epoch secret yet."""


def keep_epoch(secret: EpochSecret, *, directory: Path, memory: SiteMemory) -> Path:
    """Write an epoch secret to its file, then make it the current epoch; return the path.

    Guarantee: if the site dies between the two, it completes both when the delivery comes again.
    The secrets of all earlier epochs are deleted, those of earlier charters too: who breaks into
    the site afterwards finds no key to the runs of those epochs.

    Args:
        secret: A secret that was accepted, or that this site made.
        directory: Directory of the epoch secrets of one charter, one file each. Those of other
            charters are beside it.
        memory: Memory of this site.

    Raises:
        SecretExists: There is another secret for this epoch.
        StaleEpoch: The epoch is not newer than the last accepted one.
    """
    # The file comes first: a number in the memory without its secret would lock the site out. If
    # the file exists with the same secret, the site died before it could store the number.
    path = _path(directory, secret.epoch)
    try:
        secret.write(path)
    except SecretExists:
        if EpochSecret.read(path).fingerprint != secret.fingerprint:
            raise
    memory.accept_epoch(secret.epoch, secret.fingerprint)
    # Last: until the new epoch is the current one, the site goes by the one before.
    _delete_earlier(secret.epoch, directory.parent)
    return path


def current_epoch(*, directory: Path, memory: SiteMemory) -> EpochSecret:
    """Read the secret of the site's current epoch, which `keep_epoch` wrote.

    Raises:
        NoEpoch: There is no epoch yet.
        SecretMissing, ExposedSecret, MalformedSecretFile: Its file cannot be used.
    """
    epoch = memory.last_epoch()
    if not epoch:
        raise NoEpoch("this site has not accepted an epoch secret yet: ask an opener for one")
    return EpochSecret.read(_path(directory, epoch))


def _delete_earlier(epoch: int, parent: Path) -> None:
    for path in parent.glob("*/epoch-*.secret"):
        number = path.stem.removeprefix("epoch-")
        if number.isdecimal() and int(number) < epoch:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)


def _path(directory: Path, epoch: int) -> Path:
    return directory / f"epoch-{epoch}.secret"
