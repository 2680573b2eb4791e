"""A site whose directory is put back from an older copy does not forget what it spent."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict
from typer.testing import CliRunner

from consortium.charter.document import Floors
from consortium.cli.main import app as command_line
from consortium.client.site_ledger import ledger_of
from privacy.differential.budget import Spent
from privacy.differential.ledger_entries import Budget
from privacy.protocol.announcements import Attestation
from privacy.secrets.keys import Identity
from privacy.wire import comparison_messages as comparing
from tests.carrier import away, staged
from tests.clear_consortium import clear_run
from tests.decisions import decide
from tests.small_consortium import (
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    forget_processes,
    refusal,
)

NORTH = "north"
PRIVATE: dict[str, Any] = {
    "num_server_rounds": 1,
    "dp.unit": "person",
    "dp.epsilon": 0.5,
    "dp.delta": 1e-6,
    "dp.steps": 1,
}
PLAIN: dict[str, Any] = {"num_server_rounds": 1}
RESTORED = (0, NORTH, "site-refused.ledger-restored")
BUDGET = Budget(epsilon=3.0, delta=1e-6)


@dataclass
class Restored:
    """A consortium in which north was put back as it was before the last run.

    Args:
        consortium: All of it.
        lost: The run that north does not know of.
        spent: What north's ledger said after it.
        carried: What the coordinator carried in it.
    """

    consortium: Consortium
    lost: Course
    spent: Spent
    carried: list[Passing] = field(default_factory=list)

    def start(self, *, down: Hook = as_it_is, **config: Any) -> Course:
        """Run again, in processes that know nothing."""
        forget_processes()
        return self.consortium.start(down=down, **(config or PRIVATE))

    @property
    def north(self) -> Path:
        """North's directory."""
        return self.consortium.run.site(NORTH)


def spent_at(directory: Path) -> Spent:
    """Return what a ledger says was lost."""
    with ledger_of(directory) as ledger:
        return ledger.spent("records", BUDGET)


def put_back(consortium: Consortium, lose: Callable[[], Course], *, copies: Path) -> Course:
    """Copy north, run, and put north back from the copy, as after the failure of a disk."""
    forget_processes()
    directory = consortium.run.site(NORTH)
    shutil.copytree(directory, copies)
    course = lose()
    forget_processes()
    shutil.rmtree(directory)
    shutil.copytree(copies, directory)
    return course


def restored(folder: Path, *, before: dict[str, Any] | None, lost: dict[str, Any]) -> Restored:
    """Return a consortium that ran, was copied at north, ran again, and has the copy now."""
    forget_processes()
    consortium = Consortium.placed(folder / "run")
    if before is not None:
        staged(so=consortium.start(**before).error is None, what="the run before the copy failed")
    carried: list[Passing] = []

    def carry(passing: Passing) -> RecordDict:
        carried.append(passing)
        return passing.content

    spent: list[Spent] = []

    def lose() -> Course:
        course = consortium.start(down=carry, **lost)
        spent.append(spent_at(consortium.run.site(NORTH)))
        return course

    course = put_back(consortium, lose, copies=folder / "copy")
    staged(so=not course.quarantined and course.error is None, what="the run to be lost failed")
    return Restored(consortium, course, spent[0], carried)


def enter_gap(directory: Path) -> str:
    """Let north's operator enter what is missing; return what the command says."""
    forget_processes()
    done = CliRunner().invoke(command_line, ["site", "ledger", str(directory), "--enter-gap"])
    assert done.exit_code == 0, done.output
    forget_processes()
    return done.output


@pytest.fixture(scope="module")
def staged_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Restored, Path]:
    """North forgot a private run; and a copy of all directories, as they are then."""
    folder = tmp_path_factory.mktemp("restored")
    at = restored(folder, before=PRIVATE, lost=PRIVATE)
    shutil.copytree(at.consortium.run.path, folder / "all")
    return at, folder / "all"


@pytest.fixture
def private(staged_once: tuple[Restored, Path]) -> Iterator[Restored]:
    """North forgot a private run."""
    at, copy = staged_once
    forget_processes()
    shutil.rmtree(at.consortium.run.path)
    shutil.copytree(copy, at.consortium.run.path)
    yield at
    forget_processes()


def trained(course: Course) -> set[str]:
    """Return which sites answered a question that costs privacy."""
    kinds = ("query.statistics", "train", "evaluate")
    return {one.site for one, answer in course.seen if one.kind in kinds and not refusal(answer)}


def test_a_restored_site_is_found_before_it_answers_anything(private: Restored) -> None:
    """The others run without it."""
    course = private.start()
    assert RESTORED in course.quarantined
    assert trained(course) == {"east", "south", "west"}
    assert spent_at(private.north).weighed < private.spent.weighed


def test_it_stays_refused_until_its_operator_enters_the_gap(private: Restored) -> None:
    """Also where the others are not asked again."""
    private.start()
    assert NORTH not in trained(private.start())
    assert NORTH not in trained(private.start(down=without_witnesses("east", "south", "west")))


def test_the_gap_is_entered_at_the_full_cost_of_what_was_lost(private: Restored) -> None:
    private.start()
    told = enter_gap(private.north)
    assert "entered run 2 at its full cost: 1 step of training, evaluation" in told
    found = spent_at(private.north)
    assert found.weighed == pytest.approx(private.spent.weighed)
    assert found.planned >= private.spent.planned - 1e-9


def test_after_the_gap_is_entered_the_site_takes_part_again(private: Restored) -> None:
    """And pays for what it does then."""
    private.start()
    enter_gap(private.north)
    course = private.start()
    assert NORTH in trained(course)
    assert not course.quarantined
    assert spent_at(private.north).weighed > private.spent.weighed
    assert "no other member showed a run" in enter_gap(private.north)


def test_a_gap_is_entered_even_if_the_budget_does_not_hold_it(private: Restored) -> None:
    """And nothing more is trained then."""
    private.start()
    ceilings = {"*": {"epsilon": 0.7, "delta": 1e-6}}
    decide(private.north, privacy={"ceilings": ceilings, "unit": "person"})
    enter_gap(private.north)
    course = private.start()
    assert (1, NORTH, "site-refused.budget-exhausted") in course.quarantined


def without_witnesses(*names: str) -> Hook:
    """Return a coordinator that keeps from north what some members say of it."""

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (NORTH, comparing.COMPARE):
            return passing.content
        charter, shown = comparing.read_comparison(passing.content)
        kept = {name: one for name, one in shown.items() if name not in names}
        return comparing.comparison(charter, kept)

    return hook


@pytest.mark.parametrize("names", [("east",), ("east", "south", "west")])
def test_what_the_coordinator_holds_back_is_missed(
    private: Restored, names: tuple[str, ...]
) -> None:
    course = private.start(down=without_witnesses(*names))
    assert NORTH not in trained(course)


def test_a_coordinator_that_leaves_the_comparison_out_gets_no_answer(private: Restored) -> None:
    def skip(passing: Passing) -> RecordDict:
        return away(NORTH)(passing) if passing.kind == comparing.COMPARE else passing.content

    assert NORTH not in trained(private.start(down=skip))


def test_what_members_said_before_an_earlier_run_is_not_believed(private: Restored) -> None:
    """Then they knew of nothing that north lacks now."""
    said = next(
        one.content for one in private.carried if (one.site, one.kind) == (NORTH, comparing.COMPARE)
    )

    def replay(passing: Passing) -> RecordDict:
        of_north = (passing.site, passing.kind) == (NORTH, comparing.COMPARE)
        return said if of_north else passing.content

    assert NORTH not in trained(private.start(down=replay))


def emptied(said: Attestation, identity: Identity) -> Attestation:
    """Return what a member would have said that holds nothing."""
    return replace(said, held=()).with_signature(identity.sign)


def test_the_coordinator_cannot_speak_for_a_member(private: Restored) -> None:
    """Neither with the member's own signature on other words, nor with another member's."""
    south = private.consortium.identity("south")

    def forge(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (NORTH, comparing.COMPARE):
            return passing.content
        charter, shown = comparing.read_comparison(passing.content)
        said = {name: Attestation.decode(one) for name, one in shown.items()}
        altered = {
            "east": replace(said["east"], held=()),
            "west": emptied(said["west"], south),
            "south": emptied(said["south"], south),
        }
        return comparing.comparison(charter, {name: one.encode() for name, one in altered.items()})

    assert NORTH not in trained(private.start(down=forge))


def test_one_honest_member_that_was_in_the_lost_run_is_enough(private: Restored) -> None:
    """The others are in league with the coordinator, and say that they hold nothing."""
    keys = {name: private.consortium.identity(name) for name in ("south", "west")}

    def lie(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (NORTH, comparing.COMPARE):
            return passing.content
        charter, shown = comparing.read_comparison(passing.content)
        said = {
            name: emptied(Attestation.decode(one), keys[name]).encode() if name in keys else one
            for name, one in shown.items()
        }
        return comparing.comparison(charter, said)

    assert RESTORED in private.start(down=lie).quarantined


def test_no_member_makes_another_one_look_restored(tmp_path: Path) -> None:
    """It shows an announcement of its own as one of north's."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    east = consortium.identity("east")
    own: list[bytes] = []

    def lie(passing: Passing) -> RecordDict:
        if passing.kind == comparing.ATTEST:
            _, announced = comparing.read_announcements(passing.content)
            own.append(announced["east"])
        if (passing.site, passing.kind) != (NORTH, comparing.COMPARE):
            return passing.content
        charter, shown = comparing.read_comparison(passing.content)
        said = replace(Attestation.decode(shown["east"]), held=(own[0],))
        return comparing.comparison(
            charter, {**shown, "east": said.with_signature(east.sign).encode()}
        )

    course = consortium.start(down=lie, **PRIVATE)
    assert RESTORED not in course.quarantined
    assert RESTORED not in consortium.start(**PRIVATE).quarantined


def test_without_a_restored_copy_nobody_is_refused(tmp_path: Path) -> None:
    """Whoever is away in between, and however often a run does not come about."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    broken = without_witnesses("east", "south", "west")
    hooks: list[Hook] = [as_it_is, away("west"), broken, as_it_is, away(NORTH), as_it_is]
    codes = set()
    for hook in hooks:
        forget_processes()
        course = consortium.start(down=hook, **PRIVATE)
        codes |= {code for _, _, code in course.quarantined}
    assert "site-refused.ledger-restored" not in codes
    assert trained(course) == set(consortium.charter.names)


def test_a_site_that_forgot_for_whom_it_counted_counts_for_nobody_else(tmp_path: Path) -> None:
    """The first run of a charter is lost: north's memory of the roster goes with its ledger."""
    at = restored(tmp_path, before=None, lost={**PLAIN, "seed": 1})
    at.start(**PLAIN, seed=2)
    told = enter_gap(at.north)
    assert "statistics, updates, evaluation" in told
    others = at.start(down=away("west"), **PLAIN, seed=3)
    assert (0, NORTH, "site-refused.another-roster") in others.quarantined
    everyone = at.start(**PLAIN, seed=4)
    assert not everyone.quarantined
    assert everyone.rounds[-1].evaluation.any()
    again = at.start(**PLAIN, seed=1)
    assert (1, NORTH, "site-refused.other-sites") in again.quarantined


def test_in_the_clear_a_restored_site_trains_without_privacy_but_not_with_it(
    tmp_path: Path,
) -> None:
    """What it does without privacy costs no budget, and goes as its policy allows."""
    forget_processes()
    floors = Floors(full_class_examples=40)
    consortium = Consortium.placed(tmp_path / "run", floors=floors)
    put_back(consortium, lambda: clear_run(consortium, PRIVATE), copies=tmp_path / "copy")
    private = clear_run(consortium, PRIVATE)
    assert RESTORED in private.quarantined
    assert (1, NORTH, "site-refused.ledger-restored") in private.quarantined
    plain = clear_run(consortium, PLAIN)
    assert not plain.quarantined
    assert NORTH in trained(plain)
    enter_gap(consortium.run.site(NORTH))
    assert not clear_run(consortium, PRIVATE).quarantined


def test_a_lost_run_is_not_played_again(private: Restored) -> None:
    """The coordinator sends the copy what it sent then, message by message."""
    forget_processes()
    place = private.consortium.place(NORTH, **PRIVATE)
    answered = []
    for one in private.carried:
        if one.site == NORTH and one.kind != "query.hello":
            answered.append((one.kind, place.refusal(one.kind, one.content)))
    costly = {code for kind, code in answered if kind in ("query.statistics", "train", "evaluate")}
    assert costly == {"ledger-not-compared"}
