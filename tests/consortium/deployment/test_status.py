"""The status of a coordinator or a site, from the files in its directory."""

import json
import os
from pathlib import Path

import psutil
import pytest

from consortium.deployment.code_approval import choose_code
from consortium.deployment.status import coordinator_status, site_status
from consortium.deployment.supernode import SuperNode
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import QuarantineRecord, SiteSummary, Summary, write_record
from tests.consortium.founded import Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    made = found(tmp_path)
    made.provision()
    made.install()
    return made


def told(lines: list[str]) -> dict[str, str]:
    """Return the lines by their first words."""
    return {line[:13].strip(): line[13:] for line in lines}


def test_a_new_site_is_down_and_has_nothing_to_report(founded: Founded) -> None:
    said = told(site_status(founded.site("east")))
    assert said["site"] == "east"
    assert said["charter"].startswith("banks, revision 1, ")
    assert (said["SuperNode"], said["runs"]) == ("down", "the installed package")
    assert said["last error"] == "none"


def test_a_site_without_a_charter_says_so(founded: Founded) -> None:
    (founded.site("east") / "charter.json").unlink()
    assert told(site_status(founded.site("east")))["charter"] == "none installed"


def test_a_site_that_keeps_a_list_says_how_long_it_is(founded: Founded) -> None:
    choose_code(founded.site("east"), "listed")
    assert told(site_status(founded.site("east")))["runs"] == "0 bundles"


def test_a_program_that_runs_and_does_not_answer_is_no_health(founded: Founded) -> None:
    node = SuperNode(founded.site("east"))
    node.home.mkdir()
    note = {
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
        "since": "2026-01-02T03:04:05+00:00",
        "restarts": 3,
    }
    (node.home / "supervisor.json").write_text(json.dumps(note))
    said = told(site_status(founded.site("east")))["SuperNode"]
    assert said == "up since 2026-01-02 03:04:05 UTC, NOT ANSWERING, 3 restarts"


def test_the_last_error_is_the_end_of_a_log_of_any_length(founded: Founded) -> None:
    log = founded.site("east") / "site.log"
    log.write_text("first\n" + "x" * 200_000 + "\nlast: of all\n")
    assert told(site_status(founded.site("east")))["last error"] == "last: of all"


def test_a_run_is_told_by_its_last_round_and_its_last_trouble(
    founded: Founded, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    CoordinatorDirectory(founded.coordinator).last_run.write_text(str(run))
    said = told(coordinator_status(founded.coordinator))
    assert (said["run"], said["last round"], said["last error"]) == ("first", "none", "none")
    events = [
        {"event": "round-finished", "server_round": 1},
        {"event": "site-quarantined", "server_round": 2, "site": "east", "code": "silent"},
        {"event": "round-finished", "server_round": 2},
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    said = told(coordinator_status(founded.coordinator))
    assert (said["last round"], said["last error"]) == ("2", "east silent")
    assert said["left out"] == "east: silent: No answer came before the deadline"
    assert said["its log"] == str(run / "coordinator" / "coordinator.log")


def test_however_long_a_run_goes_on_it_is_told_who_never_came(
    founded: Founded, tmp_path: Path
) -> None:
    """Also while the last event is being written."""
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    CoordinatorDirectory(founded.coordinator).last_run.write_text(str(run))
    joined = {"event": "sites-joined", "sites": ["north", "south"], "absent": ["east"]}
    rounds = [
        {"event": event, "server_round": number, "site": "north"}
        for number in range(1, 1_001)
        for event in ("site-answered", "round-finished")
    ]
    events = "".join(json.dumps(event) + "\n" for event in [joined, *rounds])
    assert len(events) > 100_000
    (run / "events.jsonl").write_text(events + '{"event": "round-fin')
    said = told(coordinator_status(founded.coordinator))
    assert said["last round"] == "1000"
    assert said["left out"].startswith("east: never-came: ")


def test_the_evaluation_at_the_end_of_a_run_is_no_round_and_a_lost_site_no_error(
    founded: Founded, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "runs" / "first")
    run.path.mkdir(parents=True)
    CoordinatorDirectory(founded.coordinator).last_run.write_text(str(run.path))
    lost = QuarantineRecord(server_round=4, site="east", code="node-failed")
    write_record(
        run.summary,
        Summary(
            name="banks",
            task="credit",
            status="finished",
            started="2026-01-02T03:04:05+00:00",
            seconds=1.0,
            seed=7,
            config={"num-server-rounds": 3},
            versions={},
            charter_fingerprint="",
            rounds=3,
            sites=[SiteSummary(name="east", present=True)],
            quarantined=[lost],
            withheld="withheld, because east did not answer at the end",
        ),
    )
    run.events.write_text(json.dumps({"event": "round-finished", "server_round": 4}) + "\n")
    said = told(coordinator_status(founded.coordinator))
    assert (said["run"], said["last round"], said["last error"]) == (
        "first, finished",
        "3 of 3",
        "none",
    )
    assert said["left out"].startswith("east, the final evaluation: node-failed: ")
    assert said["evaluation"].startswith("withheld, because east")
