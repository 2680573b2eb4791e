"""A run that waits for a site that is gone is drafted to go on, and says what that shows."""

from pathlib import Path

import pytest

from consortium.charter.document import Charter, UnknownMember
from consortium.charter.signatures import sign_charter
from consortium.coordinator.later_runs.continuation import WaitingRun
from consortium.coordinator.resume import NotResumable
from consortium.modes.contract import OutsideCharter
from consortium.modes.registry import mode_of
from strategies.coordinator.masked.parameters import SitesAwaited
from tests.masked_runs import GONE, ROUNDS, Parked, parked, placed, silent, waiting
from tests.small_consortium import NAMES, configured

FIVE = ("east", "north", "south", "upper", "west")


def read(waits: Parked) -> WaitingRun:
    """Return the run as a later process of its coordinator finds it."""
    run = waits.consortium.run
    waits.consortium.charter.write(run.charter)
    return WaitingRun.read(run, configured({"masks": True, "quorum": 4, "buckets": 1}))


def test_the_draft_names_the_run_the_state_and_who_stays(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    found = read(waits)
    draft = found.revision([GONE])
    assert draft.names == tuple(name for name in NAMES if name != GONE)
    assert (draft.continues, draft.continues_from) == (waits.run, waits.state.hex())
    assert draft.statistics_of == waits.consortium.charter.fingerprint
    assert draft.revision == waits.consortium.charter.revision + 1
    assert found.goes_on_under(draft, [GONE])
    assert not found.goes_on_under(draft, ["east"])
    assert not found.goes_on_under(waits.consortium.charter, [])
    later = read_back(draft, tmp_path)
    assert later.fingerprint == draft.fingerprint
    assert draft.fingerprint != draft.model_copy(update={"continues_from": "0" * 64}).fingerprint


def read_back(charter: Charter, folder: Path) -> Charter:
    charter.write(folder / "charter.json")
    return Charter.read(folder / "charter.json")


def test_the_rounds_that_are_left_are_run_with_the_settings_of_then(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    found = read(waits)
    draft = found.revision([GONE])
    config = found.next_config(draft)
    assert config.num_server_rounds == ROUNDS - 1
    assert config.continues == waits.run
    assert config.quorum == 3
    assert config.update_settings == found.config.update_settings
    mode_of(config).require_agreed(config, draft)
    assert config.audit_facts == {"masks": "yes", "continues": waits.run}


def test_at_its_end_a_run_goes_on_for_one_round(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run")
    course = consortium.start(down=silent("evaluate", ROUNDS + 1, GONE), masks=True)
    assert isinstance(course.error, SitesAwaited)
    found = read(waiting(consortium, course, ROUNDS + 1))
    assert found.rounds_done == ROUNDS
    assert found.next_config(found.revision([GONE])).num_server_rounds == 1


def test_what_follows_for_who_is_left_out_is_said(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run", FIVE)
    told = [*read(waits).what_shows([GONE])]
    assert told[0] == (
        "it goes on from the state after 1 round, which the sites that remain signed: "
        f"{waits.state.hex()}"
    )
    assert told[1].startswith("what this lets be estimated: the sums so far hold west, and")
    assert len(told) == 3
    assert read(waits).what_shows([GONE, "upper"]) is not None
    assert [*read(waits).what_shows(["upper", GONE])][-1] == (
        "upper answered in this round: the run does not wait for it"
    )


def test_it_is_drafted_only_where_it_can_go_on(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run", FIVE)
    found = read(waits)
    with pytest.raises(NotResumable, match="also waits for west"):
        found.revision(["upper"])
    with pytest.raises(NotResumable, match="4 sites that confirm sums"):
        found.revision([GONE, "upper"])
    with pytest.raises(UnknownMember):
        found.revision([GONE, "nobody"])


def test_who_is_too_few_for_the_run_does_not_go_on(tmp_path: Path) -> None:
    """Three sites wait for each of them: two have no sum in which two are honest."""
    three = ("east", "north", "west")
    with pytest.raises(NotResumable):
        read(parked(tmp_path / "run", three)).revision([GONE])


def test_a_run_without_masks_or_that_does_not_wait_has_no_draft(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    run = waits.consortium.run
    with pytest.raises(NotResumable, match="only a run with masks"):
        WaitingRun.read(run, configured({}))
    waits.consortium.charter.write(run.charter)
    for path in run.vault.rglob("awaited.json"):
        path.unlink()
    with pytest.raises(NotResumable, match="resume it first"):
        WaitingRun.read(run, configured({"masks": True}))


def test_a_charter_names_run_and_state_together_and_keeps_the_statistics(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    said = waits.consortium.charter.model_dump()
    for changed in (
        {"continues": waits.run},
        {"continues_from": waits.state.hex()},
        {"continues": waits.run, "continues_from": waits.state.hex()},
    ):
        with pytest.raises(ValueError, match="a run goes on"):
            Charter.model_validate({**said, **changed})


def test_each_signature_is_of_the_run_and_the_state(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    draft = read(waits).revision([GONE])
    signature = sign_charter(draft, waits.consortium.identity("east"))
    for changed in ({"continues_from": "0" * 64}, {"continues": "another-" + "0" * 64}):
        other = draft.model_copy(update=changed)
        assert signature.charter != other.fingerprint


def test_a_run_goes_on_as_its_charter_says_only(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run")
    found = read(waits)
    draft = found.revision([GONE])
    config = found.next_config(draft)
    for changed, charter in (
        ({"continues": "another-" + "0" * 64}, draft),
        ({"without": "east"}, draft),
        ({}, waits.consortium.charter),
    ):
        chosen = config.model_copy(update=changed)
        with pytest.raises(OutsideCharter):
            mode_of(chosen).require_agreed(chosen, charter)
