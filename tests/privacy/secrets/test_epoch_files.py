from pathlib import Path

import pytest

from privacy.secrets.epoch_files import NoEpoch, current_epoch, keep_epoch
from privacy.secrets.key_exchange import NewEpoch
from privacy.secrets.keys import EpochSecret
from privacy.secrets.replay_guard import SiteMemory, StaleEpoch
from privacy.storage.secret_files import SecretExists, SecretMissing


def test_a_site_goes_by_the_last_epoch_it_kept(epoch: NewEpoch, tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    with SiteMemory(tmp_path / "memory") as memory:
        with pytest.raises(NoEpoch):
            current_epoch(directory=directory, memory=memory)
        for secret in (EpochSecret(2, bytes(32)), epoch.secret):
            keep_epoch(secret, directory=directory, memory=memory)
            current = current_epoch(directory=directory, memory=memory)
            assert (current.epoch, current.fingerprint) == (secret.epoch, secret.fingerprint)


def test_a_site_that_died_in_between_takes_the_delivery_again(
    epoch: NewEpoch, tmp_path: Path
) -> None:
    """The file is there, the memory does not know: the same secret completes it, no other."""
    directory = tmp_path / "secrets"
    epoch.secret.write(directory / "epoch-5.secret")
    with SiteMemory(tmp_path / "memory") as memory:
        with pytest.raises(SecretExists):
            keep_epoch(EpochSecret(5, bytes(32)), directory=directory, memory=memory)
        assert memory.last_epoch() == 0
        for _ in range(2):
            keep_epoch(epoch.secret, directory=directory, memory=memory)
        assert memory.last_epoch() == 5


def test_an_older_epoch_is_not_gone_back_to(epoch: NewEpoch, tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    with SiteMemory(tmp_path / "memory") as memory:
        path = keep_epoch(epoch.secret, directory=directory, memory=memory)
        with pytest.raises(StaleEpoch):
            keep_epoch(EpochSecret(4, bytes(32)), directory=directory, memory=memory)
        path.unlink()
        with pytest.raises(SecretMissing):
            current_epoch(directory=directory, memory=memory)


def test_the_secrets_of_earlier_epochs_are_gone_those_of_earlier_charters_too(
    tmp_path: Path,
) -> None:
    before, now = tmp_path / "secrets" / "charter-1", tmp_path / "secrets" / "charter-2"
    with SiteMemory(tmp_path / "memory") as memory:
        for epoch in (2, 3):
            keep_epoch(EpochSecret(epoch, bytes(32)), directory=before, memory=memory)
        assert [path.name for path in before.iterdir()] == ["epoch-3.secret"]
        path = keep_epoch(EpochSecret(4, bytes(32)), directory=now, memory=memory)
    assert list((tmp_path / "secrets").glob("*/*")) == [path]


def test_a_secret_that_is_not_accepted_deletes_none(tmp_path: Path) -> None:
    directory = tmp_path / "secrets" / "charter-1"
    with SiteMemory(tmp_path / "memory") as memory:
        path = keep_epoch(EpochSecret(3, bytes(32)), directory=directory, memory=memory)
        memory.accept_epoch(5, bytes(32))
        with pytest.raises(StaleEpoch):
            keep_epoch(EpochSecret(4, bytes(32)), directory=directory, memory=memory)
    assert path.exists()
