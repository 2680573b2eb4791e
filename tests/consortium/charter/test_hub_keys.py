"""The key with which a hub signs is that of the charter, and is never made on the way."""

from pathlib import Path

import pytest

from consortium.charter.document import OtherKeys
from consortium.charter.hub_keys import own_hub_key
from consortium.charter.hubs import Hub
from privacy.identity.log_signing_key import SigningKey


def test_a_hub_signs_with_the_key_in_the_charter_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "hub.secret"
    key = SigningKey.at(path)
    hub = Hub(name="alps", members=("east",), signing=key.public.hex())
    assert own_hub_key(path, hub).public == key.public
    path.unlink()
    with pytest.raises(OtherKeys, match="there is none: bring the file back"):
        own_hub_key(path, hub)
    assert not path.exists()
    other = SigningKey.at(path).public.hex()
    with pytest.raises(OtherKeys, match=f"alps signs with the key {hub.signing}.*{other}"):
        own_hub_key(path, hub)
