"""Before which runs the members compare what they hold of each other's ledgers."""

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.registry import mode_of


def compares_ledgers(config: RunConfig, charter: Charter) -> bool:
    """Return whether a run begins with the comparison: at both ends.

    That is where training is private, or counts are exact and nobody reads them of one site, if
    all members have keys to sign with.
    """
    costs = config.privacy.offered is not None or not mode_of(config).coordinator_reads
    return costs and all(member.signing for member in charter.members)
