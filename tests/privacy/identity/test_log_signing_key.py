import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.identity.log_signing_key import SigningKey
from privacy.storage.secret_files import ExposedSecret, SecretMissing


def test_a_key_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "signing.secret"
    first, again = SigningKey.at(path), SigningKey.at(path)
    assert first.public == again.public
    Ed25519PublicKey.from_public_bytes(first.public).verify(again.sign(b"entry"), b"entry")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["signing.secret"]


def test_a_key_that_was_lost_is_not_made_where_it_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "signing.secret"
    key = SigningKey.at(path)
    assert SigningKey.read(path).public == key.public
    path.unlink()
    with pytest.raises(SecretMissing):
        SigningKey.read(path)
    assert not path.exists()


def test_several_at_once_get_the_same_key(tmp_path: Path) -> None:
    path, made = tmp_path / "audit" / "signing.secret", []
    threads = [
        threading.Thread(target=lambda: made.append(SigningKey.at(path).public)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1


def test_a_key_is_not_shown_and_not_read_where_others_may(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "signing.secret"
    key = SigningKey.at(path)
    assert repr(key) == f"SigningKey(public={key.public.hex()})"
    path.chmod(0o644)
    with pytest.raises(ExposedSecret):
        SigningKey.at(path)
