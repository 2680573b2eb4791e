"""The key with which a hub signs, held against the public half that all members signed."""

from pathlib import Path

from consortium.charter.document import OtherKeys
from consortium.charter.hubs import Hub
from privacy.identity.log_signing_key import SigningKey
from privacy.storage.secret_files import SecretMissing


def own_hub_key(path: Path, hub: Hub) -> SigningKey:
    """Return the key with which a hub signs.

    Guarantee: it is the one in the charter; none is made. With another the coordinator of the run
    would take the hub for a stranger.

    Args:
        path: The file of the key.
        hub: The hub's entry in the charter.

    Raises:
        OtherKeys: There is no key, or another one.
        ExposedSecret, MalformedSecretFile: The file is open to others, or broken.
    """
    try:
        key = SigningKey.read(path)
    except SecretMissing as error:
        raise _other(path, hub, "there is none") from error
    if key.public.hex() != hub.signing:
        raise _other(path, hub, f"that one is {key.public.hex()}")
    return key


def _other(path: Path, hub: Hub, came: str) -> OtherKeys:
    return OtherKeys(
        f"the charter says that the hub {hub.name} signs with the key {hub.signing}, which has to "
        f"be in {path}, and {came}: bring the file back, or revise the charter with the hub's "
        "public half of now (`consortium coordinator public`, `consortium charter revise --hub`)"
    )
