"""`consortium report`, on what a deployed run left behind: a coordinator's files and a site's."""

from pathlib import Path

import pytest

from consortium.cli.main import app
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record, write_record
from consortium.site.directory import SiteConfig
from privacy.policy.document import Policy
from sites.data.source import TableFile
from tests.consortium.sample_run import Sample
from tests.made_by_0_1_0.unpacking import unpack
from tests.typed import typed


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a coordinator and three sites had after runs of version 0.1.0: two ended, one did not.

    It is where it was not made, as after a move.
    """
    return unpack("deployed", tmp_path_factory.mktemp("made"))


def refused(*words: str | Path) -> str:
    """Return what a command says that is refused."""
    with pytest.raises(AssertionError) as caught:
        typed(app, *words)
    assert "BadRunDirectory" in str(caught.value)
    return str(caught.value)


def test_a_coordinator_reads_how_good_the_model_is_which_it_does_not_have(deployed: Path) -> None:
    run = deployed / "coordinator" / "runs" / "first"
    assert not (run / "model").exists()
    said = typed(app, "report", deployed / "coordinator", "--name", "first")
    found = read_record(RunDirectory(run).summary, Summary)
    assert f"- AUC {found.metrics['roc_auc'].value:.3f} (error bound: " in said
    assert f"Measured on {found.held_out} held-out records from all hospitals" in said
    assert "This run did not measure whether that is better than what each of them could do" in said
    assert "- Whether the model had converged cannot be told" in said
    assert "All three hospitals took part." in said
    assert "- va: weight " in said
    assert "- The model. It is at the hospitals, and the coordinator of an encrypted run" in said
    assert said.splitlines()[-1] == f"report: {run / 'report.html'}"
    page = (run / "report.html").read_text()
    assert page.count("<img ") == len(list((run / "plots").iterdir())) > 3


def test_a_model_that_only_guesses_is_said_to_be_of_no_use(deployed: Path) -> None:
    said = typed(app, "report", deployed / "coordinator" / "runs" / "first")
    assert "That is no better than chance: this model must not be used." in said


def test_the_last_run_is_meant_and_one_that_goes_on_is_not_reported(deployed: Path) -> None:
    assert "runs/third has not ended" in refused("report", deployed / "coordinator")


def test_a_run_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    coordinator = tmp_path / "coordinator"
    (coordinator / "secrets").mkdir(parents=True)
    assert "there is no run in" in refused("report", coordinator)
    assert "name the directory of a coordinator, a run or a site" in refused(
        "report", coordinator, "--name", "never"
    )
    assert not (coordinator / "runs").exists()


def test_a_run_that_failed_says_why_and_has_no_figure(tmp_path: Path) -> None:
    sample = Sample(completed=0, error="quorum-not-reached: one of 4 answered")
    run = sample.write(tmp_path)
    said = typed(app, "report", run.path)
    assert "The run stopped before its first round was complete." in said
    assert "One of 4 answered" in said
    assert "AUC" not in said.replace("AUC there", "")


def test_a_site_reads_what_its_model_is_what_it_lost_and_what_it_answered(deployed: Path) -> None:
    said = typed(app, "report", deployed / "va")
    assert said.startswith("va: member of heart, revision 1")
    assert "- It predicts `disease`: no and yes." in said
    assert "- Unknown: the card was written without the evaluation of a run." in said
    assert "- records: epsilon 1.500 of 3 at delta 1e-06 for each person, 1.500 left" in said
    assert "- messages received: 19" in said
    assert not (deployed / "va" / "report.html").exists()


def test_a_site_is_given_the_figures_of_its_own_model_and_of_no_other(deployed: Path) -> None:
    runs = deployed / "coordinator" / "runs"
    said = typed(app, "report", deployed / "va", "--run", runs / "second")
    figure = read_record(RunDirectory(runs / "second").summary, Summary).metrics["roc_auc"].value
    assert f"| AUC | {figure:.3f} |" in said
    assert "trained another model" in refused("report", deployed / "va", "--run", runs / "first")


def test_a_site_without_a_run_says_so(tmp_path: Path) -> None:
    source = TableFile(path=tmp_path / "records.csv")
    write_record(tmp_path / "site.json", SiteConfig(name="north", source=source))
    Policy().write(tmp_path)
    said = typed(app, "report", tmp_path)
    assert said.startswith("north: no charter is installed")
    assert "There is no model here" in said
    (tmp_path / "provisional" / "ab").mkdir(parents=True)
    assert "provisional until more than half" in typed(app, "report", tmp_path)
