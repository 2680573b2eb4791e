"""Faults in a deployment: a site crashes, one uses a false name, one is revoked.

One run of four hospitals: va-long-beach uses cleveland's name, hungary is killed in the first round
of training, and switzerland is revoked afterwards.
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
from consortium.deployment.processes import LaunchFailed, end_processes
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import Authority, pem_bytes, read_request
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import await_end, running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.scenarios.engines.test_deployment import WAIT_S, revoke

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HEART = scenario_named("heart-diagnosis")
CONFIG: dict[str, Scalar] = {"num-server-rounds": 2, "quorum": 2, "deadline-s": 120.0}


@dataclass(frozen=True)
class Faulty:
    """A finished run, and the log of the revoked node."""

    run: RunDirectory
    summary: Summary
    revoked: str
    nodes: int

    @property
    def events(self) -> list[dict[str, object]]:
        """The events of the run."""
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
def faulty_run(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """One run that several tests share."""
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("faulty"), named=None)
    stage(run, HEART)
    sites = [run.site(name) for name in HEART.sites]
    set_up_consortium(run.path / "deployment", run.charter, sites)
    config = run.site("va-long-beach") / "site.json"
    config.write_text(config.read_text().replace('"va-long-beach"', '"cleveland"'))
    with running_consortium(run.path / "deployment" / "coordinator", sites) as control:
        order = RunOrder(run=run.path, config=HEART.config_with(CONFIG).flat())
        number = control.submit_order(order)
        await_event(run, "round-started", 1)
        for process in SuperNode(run.site("hungary")).mark.marked_processes():
            process.kill()
        await_end(control, run, number)
        revoked = revoke(control, run.site("switzerland"), "switzerland")
        nodes = len(control.nodes())
    return Faulty(run, read_record(run.summary, Summary), revoked, nodes)


def test_the_run_continues_without_failed_sites_and_never_waits_for_ever(
    faulty_run: Faulty,
) -> None:
    """Flower on its own would wait for ever in the round after a node has died."""
    assert (faulty_run.summary.status, faulty_run.summary.rounds) == ("finished", 2)
    assert faulty_run.summary.evaluated == ["cleveland", "switzerland"]
    assert faulty_run.summary.seconds < 600


def test_a_site_under_a_false_name_is_excluded_and_the_owner_of_the_name_is_not(
    faulty_run: Faulty,
) -> None:
    away = [event for event in faulty_run.events if event["event"] == "site-quarantined"]
    assert "not-the-site" in {event["code"] for event in away}
    joined = next(event for event in faulty_run.events if event["event"] == "sites-joined")
    assert joined["sites"] == ["cleveland", "hungary", "switzerland"]


def test_a_revoked_member_cannot_connect(faulty_run: Faulty) -> None:
    assert "Failed to activate SuperNode" in faulty_run.revoked
    assert faulty_run.nodes == 3


@contextmanager
def expired_certificate(coordinator: Path) -> Iterator[None]:
    """Replace a coordinator's certificate by one that expired yesterday."""
    long_ago = datetime.now(UTC) - timedelta(days=31)
    paths = CoordinatorDirectory(coordinator)
    granted = Authority.read(paths.authority_key, paths.authority).issue_certificate(
        read_request(paths.certificate_request), now=long_ago, days=30
    )
    before = (coordinator / "server.pem").read_bytes()
    (coordinator / "server.pem").write_bytes(pem_bytes(granted))
    try:
        yield
    finally:
        (coordinator / "server.pem").write_bytes(before)


def test_a_coordinator_does_not_start_with_an_expired_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator itself notices what no site would accept."""
    monkeypatch.setattr(superlink, "START_LIMIT_S", 25.0)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    stage(run, HEART)
    office = run.path / "deployment"
    set_up_consortium(office, run.charter, [run.site(name) for name in HEART.sites])
    link = SuperLink(office / "coordinator")
    try:
        with expired_certificate(link.directory), pytest.raises(LaunchFailed):
            link.start()
    finally:
        end_processes(link.mark.marked_processes())
