"""The command line: what it prints, and its exit codes."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from flwr.app import Context, Message
from typer.testing import CliRunner

from consortium.client_app import app as client_app
from consortium.deployment.processes import LaunchFailed
from consortium.run.directory import RunDirectory
from consortium.wording.formatting import SPACE
from privacy.wire import messages
from scenarios.cli.doctor import MachineCheck
from scenarios.cli.main import app, main
from scenarios.data.datasets import load_dataset
from scenarios.engines import runner
from scenarios.engines.in_process import Vanished
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import SCENARIOS, scenario_named
from scenarios.scenario import scenario_of_charter
from tests.scenarios.conftest import Done


def run_command(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_list_names_every_scenario_and_its_sites() -> None:
    listed = run_command("list")
    assert listed.exit_code == 0
    for word in ("bank-credit", "heart-severity", "switzerland", "elm-bank"):
        assert word in listed.output


def test_list_for_programs_says_data_sites_learner_and_mode() -> None:
    listed = run_command("list", "--json")
    assert listed.exit_code == 0
    by_name = {one["name"]: one for one in json.loads(listed.output)}
    assert set(by_name) == set(SCENARIOS)
    card = by_name["bank-scorecard"]
    assert (card["data"], card["learner"], card["mode"]) == ("taiwan-credit", "scorecard", "clear")
    assert by_name["five-clinics"]["data"] == "synthetic_clinics"
    assert by_name["card-fraud-hard"]["data"] == "synthetic_cards"
    assert by_name["clinical-notes"]["data"] == "icd10_phrases"
    assert by_name["lung-survival"]["learner"] == "cox"
    assert "switzerland" in by_name["heart-diagnosis"]["sites"]


def test_run_ends_with_the_path_of_its_report(tmp_path: Path) -> None:
    out = tmp_path / "run"
    over = run_command("run", "heart-diagnosis", "--set", "num-server-rounds=1", "--out", str(out))
    assert over.exit_code == 0, over.output
    assert f"report: {out}/report.html" in over.output
    assert "4 sites joined" in over.output
    assert "round 1/1" in over.output
    assert (out / "report.html").exists()


def test_an_encrypted_run_ends_with_a_warning_only_if_values_were_cut_off(tmp_path: Path) -> None:
    """How many, in which rounds and what to set; the same text is in the report."""
    words = ["run", "heart-diagnosis", "--set", "aggregation=encrypted"]
    words += ["--set", "num-server-rounds=1"]
    fits = run_command(*words, "--out", str(tmp_path / "fits"))
    assert fits.exit_code == 0, fits.output
    assert "cut off" not in fits.output
    small = run_command(*words, "--set", "first-scale=1e-6", "--out", str(tmp_path / "small"))
    assert small.exit_code == 0, small.output
    said = one_line(small.output.replace(SPACE, " "))
    assert "warning: " in said
    assert "cut off, in round 1." in said
    assert "Set first-scale higher, to 1.6e-05 say" in said
    assert "in round 1." in (tmp_path / "small" / "report.html").read_text()


MASKED = ("run", "heart-diagnosis", "--set", "aggregation=encrypted", "--set", "masks=true")


def test_compare_prints_every_arm(tmp_path: Path) -> None:
    out = tmp_path / "run"
    chosen = ("--set", "num-server-rounds=1", "--seed", "3", "--out", str(out))
    over = run_command("compare", "heart-diagnosis", *chosen)
    assert over.exit_code == 0, over.output
    for arm in ("Together (federated)", "cleveland alone", "All records in one place"):
        assert arm in over.output
    assert json.loads((out / "summary.json").read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "bank-credits"), "did you mean 'bank-credit'"),
        (
            ("run", "bank-credit", "--engine", "cloud"),
            "inprocess or simulation or deployment, got 'cloud'",
        ),
        (("run", "bank-credit", "--set", "lerning-rate=1"), "did you mean 'learning-rate'"),
        (("run", "bank-credit", "--set", "learning-rate=-1"), "greater than 0"),
        (("run", "bank-credit", "--set", "learning-rate=fast"), "needs a float, got 'fast'"),
        (("run", "bank-credit", "--set", "rounds"), "needs key=value"),
        (("run", "bank-credit", "--data", "elm-bank"), "site=file"),
        (("run", "bank-credit", "--data", "elm-bank=nowhere.csv"), "there is no file"),
        (("run", "bank-credit", "--set", "rule.name=median"), "there is no rule 'median'"),
        (("run", "bank-credit", "--set", "rule.num-byzantine=1"), "choose a robust rule"),
        (
            (*MASKED, "--set", "fraction=0.75"),
            "fraction=0.75 asks only some of the sites",
        ),
        (("run", "bank-credit", "--attack", "sign-flop"), "did you mean 'sign-flip'"),
        (("predict", "nowhere", "nowhere.csv"), "there is no file"),
        (("inspect", "nowhere"), "cannot be read"),
        (("audit-sum", "nowhere"), "cannot be read"),
    ],
)
def test_wrong_usage_says_what_was_expected_and_exits_with_2(
    words: tuple[str, ...], said: str
) -> None:
    refused = run_command(*words)
    assert refused.exit_code == 2
    assert said in one_line(refused.output)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    refused = run_command("run", "heart-diagnosis", "--out", str(tmp_path))
    assert refused.exit_code == 2
    assert "is not empty" in one_line(refused.output)


def test_data_for_an_unknown_site_is_wrong_usage(tmp_path: Path) -> None:
    """It is refused before anything runs, and leaves no directory behind."""
    (tmp_path / "own.csv").touch()
    out = tmp_path / "run"
    own = f"nowhere={tmp_path}/own.csv"
    refused = run_command("run", "heart-diagnosis", "--data", own, "--out", str(out))
    assert refused.exit_code == 2
    assert "no site 'nowhere': choose one of cleveland, hungary" in one_line(refused.output)
    assert not out.exists()


@pytest.fixture(scope="module")
def unfit(heart: Done, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with records for each hospital that its schema refuses, for one reason."""
    folder = tmp_path_factory.mktemp("unfit")
    for name in heart.scenario.sites:
        frame = pd.read_parquet(heart.run.site(name) / "data.parquet").astype(object)
        frame.loc[frame.index[3], "age"] = "sixty"
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_a_run_without_data_that_were_given_ends_with_1_and_names_the_cell_and_the_log(
    unfit: Path, tmp_path: Path
) -> None:
    """Nothing is compared with a run of other records."""
    chosen = ("--set", "num-server-rounds=1", "--data", f"hungary={unfit}/hungary.csv")
    out = tmp_path / "run"
    over = run_command("compare", "heart-diagnosis", *chosen, "--out", str(out))
    assert over.exit_code == 1
    log = out / "sites" / "hungary" / "site.log"
    code = "site-refused.bad-table"
    said = over.output.splitlines()
    assert f"round 0: hungary left out ({code}, columns 1, values 1); see {log}" in said
    at_the_end = said.index(
        f"not in the run: hungary, {code} (columns 1, values 1): Its data break the agreed schema"
    )
    assert said[at_the_end + 1] == f"  its log: {log}"
    assert "age: expected a number, not so in row 5 ('sixty')" in one_line(over.output)
    assert "the run went on without your data of hungary" in one_line(over.output)
    assert "hungary alone" not in over.output
    assert json.loads((out / "summary.json").read_text())["status"] == "finished"
    assert "Its data break the agreed schema" in (out / "report.html").read_text()


def test_a_first_encrypted_run_that_lacks_a_site_says_once_why_it_stopped(
    unfit: Path, tmp_path: Path
) -> None:
    chosen = ("--set", "aggregation=encrypted", "--data", f"hungary={unfit}/hungary.csv")
    over = run_command("run", "heart-diagnosis", *chosen, "--out", str(tmp_path / "run"))
    assert over.exit_code == 1
    assert one_line(over.output).count("The first run under a charter counts") == 1


def test_a_run_without_data_that_were_given_is_compared_if_that_is_accepted(
    unfit: Path, tmp_path: Path
) -> None:
    chosen = ("--set", "num-server-rounds=1", "--data", f"hungary={unfit}/hungary.csv")
    accepted = ("--allow-absent", "--out", str(tmp_path / "run"))
    over = run_command("compare", "heart-diagnosis", *chosen, *accepted)
    assert over.exit_code == 0, over.output
    assert "not in the run: hungary, site-refused.bad-table" in over.output
    assert "cleveland alone" in over.output
    assert "hungary alone" not in over.output


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_one_reason_of_all_sites_is_the_headline_of_a_failed_run(
    aggregation: str, heart: Done, unfit: Path, tmp_path: Path
) -> None:
    words = ["run", "heart-diagnosis", "--set", f"aggregation={aggregation}"]
    for name in heart.scenario.sites:
        words += ["--data", f"{name}={unfit}/{name}.csv"]
    over = run_command(*words, "--out", str(tmp_path / "run"))
    assert over.exit_code == 1
    said = one_line(over.output)
    reason = "all four sites are left out for one reason, site-refused.bad-table: "
    assert f"the run failed: quorum-not-reached: {reason}" in said
    assert "correct the cause there first" in said
    assert "ring them back" not in said
    assert reason in one_line((tmp_path / "run" / "report.html").read_text()).replace(
        "All four", "all four"
    )


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (None, 0)])
def test_an_interruption_is_reported_and_exits_with_130(
    error: type[BaseException] | None,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def examined() -> list[MachineCheck]:
        if error is not None:
            raise error
        return []

    monkeypatch.setattr("scenarios.cli.doctor.examine_machine", examined)
    monkeypatch.setattr("sys.argv", ["scenario", "doctor"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert ("nothing was left running" in capsys.readouterr().err) == (code == 130)


def test_a_failed_run_exits_with_1_and_leaves_a_report(tmp_path: Path) -> None:
    out = tmp_path / "run"
    failed = run_command("run", "heart-diagnosis", "--set", "quorum=5", "--out", str(out))
    assert failed.exit_code == 1
    assert "can never be reached by 4 members" in one_line(failed.output)
    assert (out / "report.html").exists()


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_parked_run_exits_with_1_and_says_how_to_go_on(
    aggregation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaving(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN and message.metadata.group_id == "2":
            raise Vanished
        return client_app(message, context)

    monkeypatch.setattr(runner, "client_app", leaving)
    settings = ["deadline-s=0.2", "join-deadline-s=0.2", f"aggregation={aggregation}"]
    options = [word for setting in settings for word in ("--set", setting)]
    said = run_command("run", "heart-diagnosis", "--out", str(tmp_path / "run"), *options)
    assert said.exit_code == 1
    assert "the run is parked" in one_line(said.output)
    assert f"resume it with: scenario resume {tmp_path / 'run'}" in one_line(said.output)
    assert RunDirectory(tmp_path / "run").report.exists()


def test_a_parked_run_of_a_users_own_scenario_is_resumed_by_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line knows no scenario of that name: the charter says all it needs."""
    own = replace(
        scenario_named("heart-diagnosis"), name="my-study", sites=("cleveland", "hungary")
    )

    def leaving(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN:
            raise Vanished
        return client_app(message, context)

    config = own.config_with({"deadline-s": 0.2, "join-deadline-s": 0.2, "num-server-rounds": 1})
    run = new_run_directory(own, under=tmp_path, named=tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "client_app", leaving)
        with pytest.raises(runner.RunParked):
            runner.run_scenario(runner.ScenarioRun(scenario=own, config=config), run)
    resumed = run_command("resume", str(run.path))
    assert resumed.exit_code == 0, resumed.output
    assert "AUC 0." in resumed.output


def test_a_resumed_run_of_one_corpus_knows_that_the_records_are_the_users(
    heart: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory says so: whoever resumes it names no data."""
    parts = []
    for name in heart.scenario.sites:
        part = pd.read_parquet(heart.run.site(name) / "data.parquet").assign(site=name)
        parts.append(part.astype(object))
    parts[0].loc[parts[0].index[3], "age"] = "sixty"
    pd.concat(parts).to_csv(tmp_path / "corpus.csv", index=False)
    first = heart.scenario.sites[0]

    def leaving(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN and message.metadata.group_id == "1":
            raise Vanished
        return client_app(message, context)

    chosen = ("num-server-rounds=1", "deadline-s=0.2", "join-deadline-s=0.2")
    words = [word for setting in chosen for word in ("--set", setting)]
    words += ["--data", str(tmp_path / "corpus.csv"), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(runner, "client_app", leaving)
        assert run_command("run", "heart-diagnosis", *words).exit_code == 1
    resumed = run_command("resume", str(tmp_path / "run"))
    assert resumed.exit_code == 1, resumed.output
    assert f"the run went on without your data of {first}" in one_line(resumed.output)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_charter_says_what_resuming_needs_of_its_scenario(name: str) -> None:
    known = SCENARIOS[name]
    found = scenario_of_charter(known.charter)
    assert (found.name, found.task, found.table) == (known.name, known.task, known.table)
    assert (found.sites, found.floors) == (known.sites, known.floors)
    assert found.headline == known.headline


def test_predict_writes_one_row_for_each_row(heart: Done, tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    frame = pd.read_parquet(heart.run.site("cleveland") / "data.parquet").head(5)
    frame.to_csv(table, index=False)
    printed = run_command("predict", str(heart.run.path), str(table))
    assert printed.exit_code == 0
    assert len(printed.output.strip().splitlines()) == 6
    broken = tmp_path / "broken.csv"
    frame.drop(columns=["thallium"]).to_csv(broken, index=False)
    refused = run_command("predict", str(heart.run.path), str(broken))
    assert refused.exit_code == 2
    assert "thallium" in one_line(refused.output)
    out = tmp_path / "scores.csv"
    written = run_command("predict", str(heart.run.path), str(table), "--out", str(out))
    assert written.exit_code == 0
    scores = pd.read_csv(out)
    assert list(scores["row"]) == [1, 2, 3, 4, 5]
    assert list(scores["patient"]) == list(frame["patient"].astype(int))


def test_check_data_says_what_to_type_until_a_file_fits(tmp_path: Path) -> None:
    frame = load_dataset("heart-disease").drop(columns=["hospital", "severity"]).head(40)
    frame.to_csv(tmp_path / "own.csv", index=False, sep=";")
    asked = ("check-data", str(tmp_path / "own.csv"), "--for", "heart-diagnosis")
    first = run_command(*asked)
    assert first.exit_code == 1
    assert "--data separator:semicolon" in first.output
    again = run_command(*asked, "--data", "separator:semicolon")
    assert again.exit_code == 0, again.output
    assert "40 persons" in again.output
    charter = tmp_path / "charter.json"
    scenario_named("heart-diagnosis").charter.write(charter)
    by_charter = (*asked[:2], "--charter", str(charter), "--data", "separator:semicolon")
    assert run_command(*by_charter).output == again.output
    wrong = run_command(*asked[:3], "heart-diagnosys")
    assert wrong.exit_code == 2
    assert "did you mean 'heart-diagnosis'" in wrong.output


def test_predict_reads_a_table_by_the_same_words_and_keeps_whose_a_row_is(
    heart: Done, tmp_path: Path
) -> None:
    """In the column and in the spelling of the table, so that the scores can be joined to it."""
    frame = pd.read_parquet(heart.run.site("cleveland") / "data.parquet").head(3)
    frame = frame.assign(patient=["00123", "00124", "A-7"])
    frame.to_csv(tmp_path / "plain.csv", index=False)
    named = frame.rename(columns={"patient": "Fall-Nr", "age": "ALTER"})
    named.to_csv(tmp_path / "export.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    words = ("separator:semicolon", "decimal:comma", "column:age=ALTER", "column:patient=Fall-Nr")
    asked = [word for one in words for word in ("--data", one)]
    scores = []
    for name, said in (("plain.csv", []), ("export.csv", asked)):
        out = tmp_path / f"scores-{name}"
        ask = ("predict", str(heart.run.path), str(tmp_path / name), *said, "--out", str(out))
        written = run_command(*ask)
        assert written.exit_code == 0, written.output
        scores.append(pd.read_csv(out, dtype={"patient": str, "Fall-Nr": str}))
    plain, exported = scores
    assert list(exported["Fall-Nr"]) == list(plain["patient"]) == list(frame["patient"])
    assert list(exported["probability_yes"]) == list(plain["probability_yes"])


def test_inspect_shows_the_coordinators_view_and_audit_sum_the_audit(
    sealed_heart: Done, heart: Done, tmp_path: Path
) -> None:
    shown = run_command("inspect", str(sealed_heart.run.path))
    assert shown.exit_code == 0
    assert "secret keys held: 0" in shown.output
    audited = run_command("audit-sum", str(sealed_heart.run.path))
    assert audited.exit_code == 0
    assert "added correctly" in audited.output
    refused = run_command("audit-sum", str(heart.run.path))
    assert refused.exit_code == 2
    assert "in the clear" in one_line(refused.output)


def test_inspect_solves_what_the_coordinator_and_a_site_can_open(sealed_heart: Done) -> None:
    run = str(sealed_heart.run.path)
    solved = run_command("inspect", run, "--as", "coordinator,hungary")
    assert solved.exit_code == 0, solved.output
    assert "opens: the sum over cleveland, hungary, switzerland, va-long-beach" in solved.output
    assert "ALONE" not in solved.output
    assert solved.output.endswith("nothing opens but sums that the sites confirmed\n")
    assert run_command("inspect", run, "--as", "coordinator").exit_code == 0
    refused = run_command("inspect", run, "--as", "coordinator,nobody")
    assert refused.exit_code == 2
    assert "nobody must be one of cleveland, hungary" in one_line(refused.output)
    assert run_command("inspect", run, "--as", "hungary").exit_code == 2


def test_an_audit_that_finds_a_wrong_sum_exits_with_1(sealed_heart: Done, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed_heart.run.path, tmp_path / "run"))
    sums = run / "coordinator" / "sealed" / "round-3" / "updates" / "sums.bin"
    altered = bytearray(sums.read_bytes())
    altered[1000] ^= 1
    sums.write_bytes(altered)
    audited = run_command("audit-sum", str(run))
    assert audited.exit_code == 1
    found = "round 3 updates, bucket 0, 4 sites: the coordinator published a sum other than"
    assert found in one_line(audited.output)


def test_an_engine_that_does_not_start_is_a_failed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_given: object, **_named: object) -> None:
        raise LaunchFailed("Flower's SuperLink did not start; see superlink.log")

    monkeypatch.setattr("scenarios.engines.runner.simulate_run", failing)
    chosen = ("--engine", "simulation", "--out", str(tmp_path / "run"))
    failed = run_command("run", "heart-diagnosis", *chosen)
    assert failed.exit_code == 1
    assert "did not start; see superlink.log" in one_line(failed.output)


def test_doctor_checks_what_runs_need() -> None:
    found = run_command("doctor")
    assert found.exit_code == 0
    for word in ("Python", "tenseal", "flower-superlink", "free memory", "ports"):
        assert word in found.output


def test_a_sites_records_may_come_from_a_database(heart: Done, tmp_path: Path) -> None:
    frame = pd.read_parquet(RunDirectory(heart.run.path).site("hungary") / "data.parquet")
    database = tmp_path / "hungary.db"
    with closing(sqlite3.connect(database)) as connection:
        frame.to_sql("patients", connection, index=False)
    out = tmp_path / "run"
    source = f"sqlite:///{database}"
    own = f"hungary={source}::SELECT * FROM patients"  # noqa: S608 -- as a person types it
    over = run_command(
        "run", "heart-diagnosis", "--set", "num-server-rounds=3", "--data", own, "--out", str(out)
    )
    assert over.exit_code == 0, over.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["model_digest"] == heart.summary.model_digest
