"""A whole consortium on 127.0.0.1: charter, kits, a SuperLink, a SuperNode a site; then nothing.

What institutions do one after the other is done here at once, by the same functions, each party
in a directory of its own that is its owner's only.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from consortium.charter.document import Charter
from consortium.charter.signatures import Signatures, sign_charter
from consortium.config import RunConfig
from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed, end, free_port
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import read_request
from consortium.provisioning.enrolment import new_node_key, public_half
from consortium.provisioning.installation import init_coordinator, install_coordinator, install_site
from consortium.provisioning.provision import own_tls, provision
from consortium.run.directory import RunDirectory
from consortium.site.directory import identity_path, read_identity
from privacy.secrets.keys import Identity
from scenarios.scenario import Scenario

HOST = "127.0.0.1"

_LOOK_S = 0.5
_ASK_EVERY = 40  # looks; asking the SuperLink costs a process
_LEAVE_LIMIT_S = 30.0


def deploy(run: RunDirectory, scenario: Scenario, config: RunConfig) -> None:
    """Run a staged scenario on Flower's deployment engine and wait for its end.

    Guarantee: no process started here is alive afterwards, also after Ctrl-C.

    Raises:
        LaunchFailed: Flower did not start, or the run failed; names the log.
    """
    office = run.path / "deployment"
    sites = [run.site(name) for name in scenario.sites]
    coordinator = office / "coordinator"
    if not coordinator.exists():  # a resumed run has it
        found(office, run.charter, sites)
    with running(coordinator, sites) as control:
        number = control.submit(RunOrder(run=run.path.resolve(), config=config.flat()))
        await_end(control, run, number)


def found(
    office: Path, charter: Path, sites: Sequence[Path], *, hosts: Sequence[str] = (HOST,)
) -> Charter:
    """Let staged sites sign a charter with an address, and install everybody's kit.

    Args:
        office: Where the coordinator's directory and the kits go.
        charter: File of the charter; replaced by the one that is signed.
        sites: Directories of the sites, staged.
        hosts: What the coordinator's certificate is for.
    """
    for site in sites:
        site.chmod(0o700)
        if not identity_path(site).exists():
            Identity.generate(site.name).write(identity_path(site))
        new_node_key(site)
    halves = [public_half(site) for site in sites]
    agreed = Charter.read(charter).model_copy(
        update={
            "members": tuple(half.member for half in halves),
            "coordinator": f"{HOST}:{free_port()}",
        }
    )
    agreed.write(charter)
    signed = Signatures(
        signatures=tuple(sign_charter(agreed, read_identity(site)) for site in sites)
    )
    now = datetime.now(UTC)
    coordinator = office / "coordinator"
    request = init_coordinator(coordinator, hosts=tuple(hosts))
    tls = own_tls(office / "authority", read_request(request), now=now)
    provision(office / "kits", agreed, signed, halves, tls, now=now)
    install_coordinator(coordinator, office / "kits" / "coordinator.tar.gz", now=now)
    for site, half in zip(sites, halves, strict=True):
        install_site(site, office / "kits" / f"{half.name}.tar.gz", now=now)
    return agreed


@contextmanager
def running(
    coordinator: Path, sites: Sequence[Path], *, listen: str | None = None
) -> Iterator[Control]:
    """Run a coordinator and sites on this machine; stop all of it afterwards.

    Args:
        coordinator: Its directory.
        sites: Theirs.
        listen: Address of the SuperLink; by default the one in the charter.
    """
    superlink, nodes = SuperLink(coordinator), [SuperNode(site) for site in sites]
    started = []
    try:
        started.append(superlink.start(host=listen))
        control = Control(superlink)
        control.enrol()
        started += [node.launch() for node in nodes]
        for node in nodes:
            node.await_health()
        yield control
    finally:
        end([process for node in nodes for process in node.mark.family()])
        end(superlink.mark.family())
        for process in started:
            process.wait()


def await_end(control: Control, run: RunDirectory, number: int) -> None:
    """Wait until a run has ended.

    Raises:
        LaunchFailed: It did not finish; names the log.
    """
    looks = 0
    while not run.summary.exists():
        looks += 1
        if looks % _ASK_EVERY == 0 and control.status_of(number).startswith("finished"):
            break
        time.sleep(_LOOK_S)
    until = time.monotonic() + _LEAVE_LIMIT_S
    status = control.status_of(number)
    while not status.startswith("finished") and time.monotonic() < until:
        time.sleep(_LOOK_S)
        status = control.status_of(number)
    if status != "finished:completed":
        raise LaunchFailed(f"the run ended as '{status}'; see {control.superlink.log}")
