"""The epoch a site goes by: secrets in files, the last number in the site's memory."""

from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.secrets.keys import EpochSecret
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.secret_files import SecretExists


class NoEpoch(ConsortiumError, LookupError):
    """This site has not accepted an epoch secret yet."""

    code = "no-epoch"


def keep_epoch(secret: EpochSecret, *, directory: Path, memory: SiteMemory) -> Path:
    """Write an epoch secret to its file, then go by it; return the path.

    Guarantee: a site that dies in between does both when the delivery comes again.

    Args:
        secret: Accepted, or made here.
        directory: For epoch secrets; one file each.
        memory: Of this site.

    Raises:
        SecretExists: There is another secret for this epoch.
        StaleEpoch: The epoch is not newer than the last accepted.
    """
    path = _path(directory, secret.epoch)
    try:
        secret.write(path)
    except SecretExists:
        if EpochSecret.read(path).fingerprint != secret.fingerprint:
            raise
    memory.accept_epoch(secret.epoch, secret.fingerprint)
    return path


def current_epoch(*, directory: Path, memory: SiteMemory) -> EpochSecret:
    """Read the secret of the epoch this site goes by, from where `keep_epoch` wrote it.

    Raises:
        NoEpoch: There is none yet.
        SecretMissing, ExposedSecret, MalformedSecretFile: Its file cannot be used.
    """
    epoch = memory.last_epoch()
    if not epoch:
        raise NoEpoch("this site has not accepted an epoch secret yet: ask an opener for one")
    return EpochSecret.read(_path(directory, epoch))


def _path(directory: Path, epoch: int) -> Path:
    return directory / f"epoch-{epoch}.secret"
