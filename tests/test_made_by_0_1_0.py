"""Runs that version 0.1.0 left behind are resumed, counted and shown by the version that is here.

tests/made_by_0_1_0/README.md says what there is and how it was made. Everything is looked at as a
person looks at it: by commands, and by the files that docs/run-directory.md names.
"""

import csv
import io
import json
import sqlite3
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from consortium.cli.main import app as consortium
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.cli.main import app as scenario
from tests.made_by_0_1_0.make_fixtures import processor
from tests.made_by_0_1_0.unpacking import facts, unpack
from tests.typed import account, lines, typed

FACTS = facts()
UNDECIDED = "not decided: the charter names no key of the coordinator"
DOCS = Path(__file__).parents[1] / "docs"
HOSPITALS = ("cleveland", "hungary", "switzerland", "va-long-beach")
WORDS_OF_UPDATE = 21  # of 64 bits, with two lengths and the number of records before it
SAME_KIND = processor() == FACTS["processor"]


def summary_of(run: Path) -> Summary:
    return read_record(RunDirectory(run).summary, Summary)


@pytest.mark.parametrize("mode", ["clear", "sealed"])
def test_an_interrupted_run_goes_on_to_the_end_it_would_have_had(mode: str, tmp_path: Path) -> None:
    """The coordinator died in round 3; two of four sites had answered.

    On a processor of another kind the last bits differ, of a run begun there and ended here.
    """
    run = unpack(f"{mode}-interrupted", tmp_path)
    typed(scenario, "resume", run)
    # Of version 0.1.0: a run that begins now holds out other persons.
    resumed, undisturbed = summary_of(run), summary_of(unpack("clear-compared", tmp_path))
    assert (resumed.status, resumed.rounds, resumed.evaluated) == ("finished", 3, [*HOSPITALS])
    assert resumed.metrics.keys() >= undisturbed.metrics.keys() != set()
    for name, metric in undisturbed.metrics.items():
        assert resumed.metrics[name].value == pytest.approx(metric.value, abs=1e-3), name
    if SAME_KIND:
        assert resumed.model_digest == FACTS["models"][mode]
    assert [one["server_round"] for one in lines(run / "metrics.jsonl")] == [1, 2, 3, 4]
    assert len(typed(consortium, "audit", "verify", run).splitlines()) > 5
    assert "Left out" not in (run / "report.html").read_text()


def test_a_site_gives_the_sealed_answer_again_that_it_gave_to_version_0_1_0(
    tmp_path: Path,
) -> None:
    """Sealed anew it would be other bytes."""
    run = unpack("sealed-interrupted", tmp_path)
    asked = run / "coordinator" / "sealed" / "round-3" / "updates"
    before = {path.name: path.read_bytes() for path in asked.glob("upload-*")}
    assert before.keys() == {"upload-cleveland.bin", "upload-hungary.bin"}
    typed(scenario, "resume", run)
    assert {name: (asked / name).read_bytes() for name in before} == before
    said = typed(scenario, "audit-sum", run).splitlines()
    assert len(said) == 3
    assert all(line.endswith(f"added correctly; {UNDECIDED}") for line in said)


def test_a_private_run_that_goes_on_costs_what_it_had_reserved(tmp_path: Path) -> None:
    run = unpack("private-interrupted", tmp_path)
    before = {name: account(run / "sites" / name) for name in HOSPITALS}
    assert {one.lines[0].state for one in before.values()} == {"open"}
    begun = {name: one.lines[0].begun for name, one in before.items()}
    assert begun == {"cleveland": 9, "hungary": 9, "switzerland": 9, "va-long-beach": 6}
    typed(scenario, "resume", run)
    for name in HOSPITALS:
        after = account(run / "sites" / name)
        assert after.spent.planned == pytest.approx(before[name].spent.planned, abs=1e-9)
        assert (after.lines[0].counted, after.lines[0].state) == (9, "ended")
    typed(consortium, "audit", "verify", run, "--ledger", run / "sites" / "hungary")


def test_a_site_adds_no_new_noise_to_an_answer_that_version_0_1_0_kept(tmp_path: Path) -> None:
    """Its update is kept twice: with the last answer, and with what was reserved for it.

    The sums of its evaluation, in units of 2**-33, are counted again: on a processor of another
    kind some differ in their last bits.
    """
    run = unpack("private-interrupted", tmp_path)
    kept = [run / "sites" / name / "answers" / "last.bin" for name in ("cleveland", "hungary")]
    before = [path.read_bytes() for path in kept]
    kept[1].unlink()
    typed(scenario, "resume", run)
    assert kept[0].read_bytes() == before[0]
    database = sqlite3.connect(kept[1].parent / "answers.sqlite")
    ((answer,),) = database.execute("SELECT data FROM small").fetchall()
    database.close()
    sha256 = 32  # bytes: of the question before the answer, and of the answer after it
    given = before[1][len("consortium.kept-answer/1\n") + sha256 : -sha256]
    apart = np.frombuffer(answer, "<i8") - np.frombuffer(given, "<i8")
    assert not apart[:WORDS_OF_UPDATE].any()
    assert abs(apart).max() <= (0 if SAME_KIND else 2**13)


def test_a_ledger_says_the_same_epsilon(tmp_path: Path) -> None:
    run, deployed = unpack("private-finished", tmp_path), unpack("deployed", tmp_path)
    places = {run / "sites" / name: said for name, said in FACTS["ledgers"].items()}
    places |= {deployed / name: said for name, said in FACTS["deployed"]["ledgers"].items()}
    for place, said in places.items():
        assert account(place).spent.planned == pytest.approx(said["records"], abs=1e-9)
        assert f"planned beforehand: {said['records']:.3f})" in typed(
            consortium, "site", "ledger", place
        )


RUNS = (
    "clear-compared",
    "clear-with-a-liar",
    "private-finished",
    "deployed/coordinator/runs/first",
    "deployed/coordinator/runs/second",
)


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_is_reported(name: str, tmp_path: Path) -> None:
    """Its logs are whole, its figures are those that were written down, its files are as agreed."""
    top, _, below = name.partition("/")
    run = unpack(top, tmp_path) / below
    summary = summary_of(run)
    page = render_report(RunDirectory(run)).read_text()
    assert f"{summary.metrics['roc_auc'].value:.3f}"[:4] in page
    for site in summary.sites:
        assert site.name in page
    for path in sorted(run.glob("*.json")):
        require_valid(path)
    typed(consortium, "audit", "verify", run)
    with pytest.raises(AssertionError, match="finished"):
        typed(scenario, "resume", run)


def require_valid(path: Path) -> None:
    """Check one of the files for which there is a schema."""
    kind = "tallies" if path.stem in ("statistics", "evaluation") else path.stem
    schema = DOCS / f"{kind}.schema.json"
    if schema.exists():
        jsonschema.validate(json.loads(path.read_text()), json.loads(schema.read_text()))


def test_why_a_site_was_left_out_is_still_said_in_words(tmp_path: Path) -> None:
    run = unpack("clear-with-a-liar", tmp_path)
    summary = summary_of(run)
    codes = {one.code for one in summary.quarantined}
    assert codes == {"non-finite-update"}
    assert "values that are not finite numbers" in render_report(RunDirectory(run)).read_text()


def test_the_sums_of_a_finished_run_were_added_right(tmp_path: Path) -> None:
    run = unpack("deployed", tmp_path) / "coordinator" / "runs" / "first"
    said = typed(scenario, "audit-sum", run)
    right = f"round 2 updates, bucket 0, 3 sites: added correctly; {UNDECIDED}"
    assert said.splitlines() == [right]
    seen = typed(scenario, "inspect", run)
    assert "secret keys held: 0" in seen
    upload = run / "coordinator" / "sealed" / "round-2" / "updates" / "upload-va.bin"
    upload.write_bytes(upload.read_bytes()[:-1] + b"\0")
    assert "va signed" in typed(scenario, "audit-sum", run, status=1)


def test_a_model_predicts_the_same(tmp_path: Path) -> None:
    run, place = unpack("clear-compared", tmp_path), unpack("deployed", tmp_path)
    said = typed(scenario, "predict", run, place / "practice" / "hungary.csv")
    now, then = (list(csv.DictReader(io.StringIO(one))) for one in (said, FACTS["predicted"]))
    assert len(now) == len(then) > 200
    for here, there in zip(now, then, strict=True):
        assert here.keys() - {"patient"} == there.keys()  # whose a row is came later
        assert here["row"] == there["row"]
        assert float(here["probability_yes"]) == pytest.approx(
            float(there["probability_yes"]), abs=1e-5
        )
