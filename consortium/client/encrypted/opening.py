"""How a site opens an encrypted run, and what an opening must be bound to."""

from collections.abc import Sequence

from consortium.protocol.parameters import descriptor, seal_parameters
from consortium.site.key_ring import member_at
from consortium.site.site import Site


def run_descriptor(site: Site) -> bytes:
    """Return the digest of the run descriptor, as this site computes it."""
    return descriptor(
        config=site.config_digest, charter=site.fingerprint, layout=site.task.layout.digest
    )


def make_run_opening(
    site: Site, asked: tuple[str, str, Sequence[str], str], described: bytes
) -> bytes:
    """Open a run with a fresh key; return the encoded opening.

    Args:
        site: The site that opens it.
        asked: Charter, label, roster and lineage, as the coordinator asked for them.
        described: Digest of the run descriptor.

    Raises:
        ConsortiumError: The charter does not allow it, or this site has no keys.
    """
    charter, label, roster, lineage = asked
    site.require_charter(charter)
    return member_at(site.directory, site.config.name, site.charter).open_run(
        label=label,
        roster=roster,
        lineage=lineage,
        descriptor=described,
        parameters=seal_parameters(site.run_config, site.charter),
    )
