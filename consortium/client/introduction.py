"""How a site proves that it is behind a node."""

from dataclasses import replace

from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.protocol.membership_proof import Presence
from privacy.secrets.keys import Identity
from privacy.wire.messages import Introduction


def proven_by(
    site: Site, said: Introduction, challenge: bytes, *, run: int, node: int
) -> Introduction:
    """Return what a site says of itself, signed if its charter gives it a key to sign with.

    Args:
        site: Which says it.
        said: What it says.
        challenge: The coordinator's, 32 bytes.
        run: Flower's number of the run.
        node: Flower's id of this node.

    Raises:
        SecretMissing: The charter gives this site keys and its directory holds none.
    """
    name = site.config.name
    if name not in site.charter.identities:
        return said
    # Run, node and the coordinator's fresh challenge are signed along: a proof that was heard
    # elsewhere, or earlier, proves nothing here.
    presence = Presence(
        charter=bytes.fromhex(said.charter),
        run=run,
        node=node,
        challenge=challenge,
        site=said.site,
        layout=bytes.fromhex(said.layout.digest),
        num_examples=said.num_examples,
    )
    identity = Identity.read(SiteDirectory(site.directory).identity, name=name)
    return replace(said, proof=identity.sign(presence.encode()))
