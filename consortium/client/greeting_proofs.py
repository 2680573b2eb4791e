"""What a site signs of its answer to the greeting, so that nobody else can answer in its name.

Run, node and the coordinator's fresh challenge are signed along: a proof that was heard elsewhere,
or earlier, proves nothing here.
"""

from dataclasses import replace
from pathlib import Path

from flwr.app import Context, Message, RecordDict

from consortium.charter.document import Charter
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.protocol.membership_proof import Declined, Presence
from privacy.secrets.keys import Identity
from privacy.wire import flower_records as wire
from privacy.wire import messages


def proven_introduction(
    site: Site, said: messages.Introduction, challenge: bytes, context: Context
) -> messages.Introduction:
    """Return what a site says of itself, signed if its charter gives it a key to sign with.

    Args:
        site: Which says it.
        said: What it says.
        challenge: The coordinator's, 32 bytes.
        context: Flower's numbers of the run and of this node.

    Raises:
        SecretMissing: The charter gives this site keys and its directory holds none.
    """
    name = site.config.name
    if name not in site.charter.identities:
        return said
    presence = Presence(
        charter=bytes.fromhex(said.charter),
        run=context.run_id,
        node=context.node_id,
        challenge=challenge,
        site=said.site,
        layout=bytes.fromhex(said.layout.digest),
        num_examples=said.num_examples,
    )
    identity = Identity.read(SiteDirectory(site.directory).identity, name=name)
    return replace(said, proof=identity.sign(presence.encode()))


def proven_refusal(
    refusal: RecordDict,
    message: Message,
    context: Context,
    *,
    directory: Path,
    name: str,
    charter: Charter,
) -> RecordDict:
    """Return the refusal of a greeting, signed if the charter gives the site a key to sign with.

    Without the key, or if the greeting cannot be read, it is returned as it is: the coordinator
    then knows the node that refuses, and not whose it is.

    Args:
        refusal: Its code and counts, and the name of the site.
        message: The question; only the refusal of a greeting is signed.
        context: Flower's numbers of the run and of this node.
        directory: The site's directory.
        name: The site's name.
        charter: What it signed.
    """
    refused = wire.stated_refusal(refusal)
    greeted = message.metadata.message_type == messages.HELLO
    if refused is None or not greeted or name not in charter.identities:
        return refusal
    try:
        asked, challenge = messages.read_greeting(message.content)
        code, counts = refused
        declined = Declined(
            charter=bytes.fromhex(asked),
            run=context.run_id,
            node=context.node_id,
            challenge=challenge,
            site=name,
            code=code,
            counts=counts,
        )
        identity = Identity.read(SiteDirectory(directory).identity, name=name)
        proof = identity.sign(declined.encode())
    except (ConsortiumError, ValueError):  # no key, or no greeting to sign for
        return refusal
    return wire.proven_refusal(refusal, proof)
