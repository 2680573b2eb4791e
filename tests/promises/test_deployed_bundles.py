"""At deployed sites, no bundle runs but the one that an operator approved, whoever sends it.

A coordinator orders two runs over TLS: one with other code than it had shown, and one with the code
that it had. One site keeps a list, with the code that was shown on it; the other runs what is
installed.
"""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app as program
from consortium.config import Scalar
from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed, program_path
from consortium.deployment.run_orders import RunOrder
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import await_end, running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named

HEART = replace(scenario_named("heart-diagnosis"), sites=("cleveland", "hungary"))
CONFIG: dict[str, Scalar] = {"num-server-rounds": 1}
LISTED, INSTALLED = HEART.sites


@dataclass(frozen=True)
class Sent:
    """What came of a run.

    Args:
        run: Its directory.
        imported: The programs that imported the code which the coordinator sent with it.
    """

    run: RunDirectory
    imported: set[str]


class Coordinator:
    """A coordinator that sends code of its choice.

    Args:
        control: Its SuperLink.
        charter: Of its consortium.
        folder: Where runs go.
    """

    def __init__(self, control: Control, charter: Path, folder: Path) -> None:
        self.control, self.charter, self.folder = control, charter, folder
        self.code = CoordinatorDirectory(control.superlink.directory).app
        self.honest = (self.code / "consortium" / "client_app.py").read_text()

    def write_code(self, name: str) -> None:
        """Put code in the app that writes down which program imports it."""
        marker = str(self.folder / name)
        line = f"import sys; open({marker!r}, 'a').write(sys.argv[0] + chr(10))\n"
        (self.code / "consortium" / "client_app.py").write_text(line + self.honest)

    def built(self) -> Path:
        """Return the bundle of the app, as Flower builds it."""
        place = self.folder / "built"
        place.mkdir()
        command = [program_path("flwr"), "build", "--app", str(self.code.resolve())]
        environment = dict(self.control.superlink.environment)
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
        (bundle,) = place.glob("*.fab")
        return bundle

    def send(self, name: str) -> Sent:
        """Order a run whose bundle holds the code of this name."""
        self.write_code(name)
        run = RunDirectory(self.folder / f"run-{name}")
        run.path.mkdir()
        run.charter.write_bytes(self.charter.read_bytes())
        config = HEART.config_with(CONFIG).flat()
        number = self.control.submit_order(RunOrder(run=run.path, config=config))
        with suppress(LaunchFailed):  # what came of it is in its directory
            await_end(self.control, run, number)
        marker = self.folder / name
        lines = marker.read_text().splitlines() if marker.exists() else []
        return Sent(run, {Path(line).name for line in lines})


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sent]]:
    """What came of a run with other code, and of the next with the code that was approved."""
    folder = tmp_path_factory.mktemp("bundles")
    staged = new_run_directory(HEART, under=folder, named=None)
    stage(staged, HEART)
    sites = {name: staged.site(name) for name in HEART.sites}
    set_up_consortium(staged.path / "deployment", staged.charter, list(sites.values()))
    with running_consortium(
        staged.path / "deployment" / "coordinator", list(sites.values())
    ) as control:
        coordinator = Coordinator(control, staged.charter, folder)
        coordinator.write_code("shown")
        bundle = str(coordinator.built())
        approved = CliRunner().invoke(
            program, ["site", "approve", str(sites[LISTED]), bundle, "--yes"]
        )
        assert approved.exit_code == 0, approved.output
        yield {name: coordinator.send(name) for name in ("other", "shown")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_code_that_nobody_approved_is_imported_at_no_site(sent: dict[str, Sent]) -> None:
    """`flwr` imports the app that it packs, at the coordinator."""
    assert sent["other"].imported <= {"flwr"}


@pytest.mark.slow
def test_the_run_says_which_site_refused_it_and_why(sent: dict[str, Sent]) -> None:
    told = sent["other"].run.events.read_text()
    assert "not-approved" in told
    assert read_record(sent["other"].run.summary, Summary).status != "finished"


@pytest.mark.slow
def test_code_that_was_approved_runs_where_it_was(sent: dict[str, Sent]) -> None:
    assert sent["shown"].imported - {"flwr"}
    assert read_record(sent["shown"].run.summary, Summary).status == "finished"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_auditor_sees_which_code_answered(sent: dict[str, Sent]) -> None:
    """At the site with a list the bundle on it, at the other the installed package."""
    folder = sent["shown"].run.path.parent
    for name, what in ((LISTED, ".fab"), (INSTALLED, "the package installed here")):
        (site,) = folder.glob(f"*/sites/{name}")
        said = CliRunner().invoke(program, ["audit", "program", str(site)])
        assert said.exit_code == 0, said.output
        assert said.output.splitlines()[-1].endswith(what)
