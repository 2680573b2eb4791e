"""A deployed run waits for a hospital that never comes back, and goes on as the others sign."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.charter.document import Charter
from consortium.cli.main import app as consortium
from consortium.deployment.processes import end_processes
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import read_certificate
from consortium.provisioning.charter_drafts import read_signatures
from consortium.provisioning.enrolment import public_half
from consortium.provisioning.installation import install_coordinator, install_site
from consortium.provisioning.provision import Tls, write_kits
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory
from scenarios.engines.deployment import running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.scenarios.test_deaths import is_asked, wait_until
from tests.typed import lines, typed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HEART = scenario_named("heart-diagnosis")
GONE = "va-long-beach"
STAY = tuple(name for name in HEART.sites if name != GONE)
SETTINGS = (
    "aggregation=encrypted",
    "num-server-rounds=3",
    "quorum=3",
    "attempts=1",
    "deadline-s=60",
    "model=logistic",
)


def install(office: Path, charter: Path, sites: list[Path]) -> None:
    """Make the kits of a signed revision, and let everybody take theirs over."""
    now, coordinator = datetime.now(UTC), office / "coordinator"
    agreed, signed = Charter.read(charter), read_signatures(charter)
    halves = [public_half(site) for site in sites]
    tls = Tls(authority=read_certificate(coordinator / "authority.pem"))
    kits = office / "later"
    write_kits(kits, agreed, signed, halves, tls, now=now)
    install_coordinator(coordinator, kits / "coordinator.tar.gz", now=now)
    for site in sites:
        install_site(site, kits / f"{site.name}.tar.gz", now=now)


def test_the_others_sign_that_it_goes_on_and_it_comes_to_its_end(tmp_path: Path) -> None:
    staged = new_run_directory(HEART, under=tmp_path, named=None)
    stage(staged, HEART, config=HEART.config_with({"aggregation": "encrypted"}))
    office = staged.path / "deployment"
    coordinator, sites = office / "coordinator", {name: staged.site(name) for name in HEART.sites}
    set_up_consortium(office, staged.charter, [*sites.values()])
    # A staged charter names a key that is staged with it.
    shutil.copy(staged.question_key, CoordinatorDirectory(coordinator).question_key)
    run, remain = RunDirectory(coordinator / "runs" / "a"), [sites[name] for name in STAY]
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    with running_consortium(coordinator, [*sites.values()]):
        typed(consortium, "run", coordinator, "--name", "a", "--no-wait", *words)
        wait_until(lambda: is_asked(run, 2) or run.summary.exists())
        end_processes(SuperNode(sites[GONE]).mark.marked_processes())
        wait_until(run.summary.exists)
        assert read_record(run.summary, Summary).status == "parked"
        drafted = typed(consortium, "resume", coordinator, "--name", "a", "--without", GONE)
        assert "what this lets be estimated" in drafted
        for name in STAY:
            typed(consortium, "charter", "sign", run.revision, sites[name])
        install(office, run.revision, remain)
        said = typed(consortium, "resume", coordinator, "--name", "a", "--without", GONE)
    assert "finished: " in said
    later = RunDirectory(coordinator / "runs" / "a-continued-1")
    summary = read_record(later.summary, Summary)
    assert (summary.status, summary.config["continues"]) == ("finished", continued(run))
    assert int(summary.config["num-server-rounds"]) < 3
    assert {one["event"] for one in lines(later.events)} >= {"sum-confirmed", "round-finished"}
    assert all(SiteDirectory(site).model.exists() for site in remain)
    assert not SiteDirectory(sites[GONE]).model.exists()


def continued(run: RunDirectory) -> str:
    """Return the id of the run that went on."""
    return Charter.read(run.revision).continues
