"""What goes wrong in a deployment, really done: a machine dies, a member lies, another is put out.

One run of four hospitals: va-long-beach answers to cleveland's name, hungary is killed in the first
round of training; afterwards switzerland is revoked.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consortium.config import Scalar
from consortium.deployment import superlink
from consortium.deployment.processes import LaunchFailed, end
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import Authority, pem, read_request
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import await_end, found, running
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.scenarios.engines.test_deployment import WAIT_S, revoke

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HEART = scenario_named("heart-diagnosis")
CONFIG: dict[str, Scalar] = {"num-server-rounds": 2, "quorum": 2, "deadline-s": 120.0}


@dataclass(frozen=True)
class Faulty:
    """A run that is over, and what was said to who was revoked."""

    run: RunDirectory
    summary: Summary
    revoked: str
    nodes: int

    @property
    def events(self) -> list[dict[str, object]]:
        """What happened."""
        return [json.loads(line) for line in self.run.events.read_text().splitlines()]


def await_event(run: RunDirectory, event: str, server_round: int) -> None:
    """Wait until an event of a round is written."""
    until = time.monotonic() + 4 * WAIT_S
    wanted = f'"event": "{event}", "server_round": {server_round}'
    while time.monotonic() < until:
        if run.events.exists() and wanted in run.events.read_text():
            return
        time.sleep(0.2)
    raise TimeoutError(wanted)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """Run it once; several tests look."""
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("faulty"), named=None)
    stage(run, HEART)
    sites = [run.site(name) for name in HEART.sites]
    found(run.path / "deployment", run.charter, sites)
    config = run.site("va-long-beach") / "site.json"
    config.write_text(config.read_text().replace('"va-long-beach"', '"cleveland"'))
    with running(run.path / "deployment" / "coordinator", sites) as control:
        order = RunOrder(run=run.path, config=HEART.configured(CONFIG).flat())
        number = control.submit(order)
        await_event(run, "round-started", 1)
        for process in SuperNode(run.site("hungary")).mark.family():
            process.kill()
        await_end(control, run, number)
        revoked = revoke(control, run.site("switzerland"), "switzerland")
        nodes = len(control.nodes())
    return Faulty(run, read_record(run.summary, Summary), revoked, nodes)


def test_the_run_goes_on_with_the_rest_and_waits_for_nobody_for_ever(faulty: Faulty) -> None:
    """Flower alone waits for ever in the round after a node has died."""
    assert (faulty.summary.status, faulty.summary.rounds) == ("finished", 2)
    assert faulty.summary.evaluated == ["cleveland", "switzerland"]
    assert faulty.summary.seconds < 600


def test_who_answers_to_anothers_name_is_turned_away_and_its_owner_is_not(faulty: Faulty) -> None:
    away = [event for event in faulty.events if event["event"] == "site-quarantined"]
    assert "not-the-site" in {event["code"] for event in away}
    joined = next(event for event in faulty.events if event["event"] == "sites-joined")
    assert joined["sites"] == ["cleveland", "hungary", "switzerland"]


def test_a_revoked_member_is_refused_at_the_door(faulty: Faulty) -> None:
    assert "Failed to activate SuperNode" in faulty.revoked
    assert faulty.nodes == 3


@contextmanager
def expired(coordinator: Path, authority: Path) -> Iterator[None]:
    """Put a certificate that ended yesterday in the place of a coordinator's."""
    long_ago = datetime.now(UTC) - timedelta(days=31)
    granted = Authority.read(authority).grant(
        read_request(coordinator / "server.csr"), now=long_ago, days=30
    )
    before = (coordinator / "server.pem").read_bytes()
    (coordinator / "server.pem").write_bytes(pem(granted))
    try:
        yield
    finally:
        (coordinator / "server.pem").write_bytes(before)


def test_an_expired_certificate_brings_no_coordinator_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no site would accept is found out by the coordinator itself, which stays down."""
    monkeypatch.setattr(superlink, "START_LIMIT_S", 25.0)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    stage(run, HEART)
    office = run.path / "deployment"
    found(office, run.charter, [run.site(name) for name in HEART.sites])
    link = SuperLink(office / "coordinator")
    try:
        with expired(link.directory, office / "authority"), pytest.raises(LaunchFailed):
            link.start()
    finally:
        end(link.mark.family())
