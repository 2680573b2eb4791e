"""Does a party do its work? One sentence, for a health check that asks every minute."""

from pathlib import Path

from consortium.deployment.supernode import SuperNode
from consortium.deployment.supervisor import read_supervisor_state
from consortium.run.party_directory import require_coordinator
from consortium.site.directory import SiteDirectory
from consortium.site.last_answer import LastAnswer

# A site asks every 18 to 23 s whether it is still known. The coordinator takes it for dead after a
# minute.
_PATIENCE_S = 60.0


def party_trouble(directory: Path) -> str:
    """Return what keeps a site or a coordinator from its work, in a sentence; empty if nothing.

    A site works if its SuperNode answers on this machine and the coordinator answered it within a
    minute. With a Flower that was not read, only the first is known. A coordinator works if it
    answers at its address of the charter, with a certificate that sites accept.

    Raises:
        BadCoordinator, BadSite, BadCharter: The directory holds no party, or it cannot be read.
    """
    if SiteDirectory(directory).config.exists():
        return _site_trouble(directory)
    require_coordinator(directory)
    return _coordinator_trouble(directory)


def _site_trouble(directory: Path) -> str:
    node = SuperNode(directory)
    name = node.name
    if read_supervisor_state(node) is None:
        return f"site {name} is down: start it with `consortium site up {directory}`"
    if not node.is_healthy():
        return f"the SuperNode of site {name} does not answer on this machine: see {node.log}"
    silent_s = LastAnswer(node.home).silent_s()
    if silent_s is None or silent_s <= _PATIENCE_S:
        return ""
    since = "since the site started" if silent_s == float("inf") else f"for {silent_s:.0f} s"
    return f"the coordinator has not answered site {name} {since}: see {node.log}"


def _coordinator_trouble(directory: Path) -> str:
    from consortium.deployment.superlink import SuperLink  # a site's check need not load it

    link = SuperLink(directory)
    if read_supervisor_state(link) is None:
        return f"the coordinator is down: start it with `consortium coordinator up {directory}`"
    if not link.is_healthy():
        return (
            f"the coordinator does not answer at {link.charter.coordinator} with a certificate "
            f"that sites accept: see {link.log}"
        )
    return ""
