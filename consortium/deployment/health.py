"""Does a party do its work? One sentence, for a health check that asks every minute."""

from pathlib import Path

from consortium.charter.addresses import door_for
from consortium.charter.document import Charter
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
    answers at its address of the charter, with a certificate that sites accept. A hub does both.

    Raises:
        BadCoordinator, BadSite, BadCharter: The directory holds no party, or it cannot be read.
    """
    if SiteDirectory(directory).config.exists():
        return _site_trouble(directory)
    require_coordinator(directory)
    return _coordinator_trouble(directory)


def _site_trouble(directory: Path) -> str:
    node = SuperNode(directory)
    if read_supervisor_state(node) is None:
        return f"site {node.name} is down: start it with `consortium site up {directory}`"
    return _node_trouble(node, f"site {node.name}")


def _node_trouble(node: SuperNode, whose: str) -> str:
    if not node.is_healthy():
        return f"the SuperNode of {whose} does not answer on this machine: see {node.log}"
    silent_s = LastAnswer(node.home).silent_s()
    if silent_s is None or silent_s <= _PATIENCE_S:
        return ""
    since = "since it started" if silent_s == float("inf") else f"for {silent_s:.0f} s"
    asked = door_for(Charter.read(node.paths.charter), node.name).whose
    return f"{asked} has not answered {whose} {since}: see {node.log}"


def _coordinator_trouble(directory: Path) -> str:
    from consortium.deployment.superlink import SuperLink  # a site's check need not load it

    link = SuperLink(directory)
    whose = f"the hub {link.hub}" if link.hub else "the coordinator"
    if read_supervisor_state(link) is None:
        return f"{whose} is down: start it with `consortium coordinator up {directory}`"
    if not link.is_healthy():
        door = link.door
        return (
            f"{whose} does not answer at {door.host}:{door.port} with a certificate that sites "
            f"accept: see {link.log}"
        )
    return _node_trouble(SuperNode.of_hub(directory), whose) if link.hub else ""
