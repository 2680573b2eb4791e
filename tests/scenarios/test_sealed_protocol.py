"""Whole encrypted runs: the same result whichever site was late, left or restarted."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict
from safetensors.numpy import load_file

from consortium.config import Scalar
from consortium.coordinator.assembly import clear_strategy
from consortium.protocol.parameters import update_placement
from consortium.site.policy_templates import for_a_scenario
from privacy.layout import Vector
from privacy.protocol.receipts import decode_receipts
from scenarios.engines.in_process import Vanished
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.encrypted.parameters import RoundVoid
from tests.receipts import encode_receipts
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    altered,
    configured,
    forget_processes,
    opening_of,
    read_reply,
    read_round,
)
from tests.tampering import absent, added, both

Honest = tuple[Consortium, Course]


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run")


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each site, identified by its records, was trained."""
    counted: Counter[int] = Counter()
    train = TabularTask.train

    def counting(self: TabularTask, data: object, *given: object, **named: object) -> object:
        counted[id(data)] += 1
        return train(self, data, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(TabularTask, "train", counting)
    return counted


def vector_at(consortium: Consortium, name: str) -> Vector:
    """Return the federated vector of the model that a site keeps."""
    kept = load_file(consortium.run.site(name) / "model" / "federated.safetensors")
    return kept["federated-vector"].astype(np.float64)


def clear_vector(consortium: Consortium, **overrides: Scalar) -> Vector:
    """Run the same sites in the clear; return their final federated vector."""
    floors = consortium.charter.floors.model_copy(update={"encrypted": False})
    charter = consortium.charter.model_copy(update={"floors": floors})
    for name in charter.names:
        charter.write(consortium.run.site(name) / "charter.json")
        for_a_scenario(charter).write(consortium.run.site(name))
    config = configured({**overrides, "aggregation": "clear"})
    course = Course()
    bus = Consortium(run=consortium.run, charter=charter).bus(course, config)
    strategy = clear_strategy(
        config, charter, "clear", observe=course.events.append, keep=lambda _progress: None
    )
    strategy.start(bus, config.num_server_rounds)
    assert not course.quarantined
    return vector_at(consortium, charter.names[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "rate", "bound"),
    [("sgd", 1.0, 1e-2), ("momentum", 0.5, 1e-2), ("adam", 0.1, 1e-4), ("yogi", 0.1, 1e-4)],
)
def test_the_encrypted_model_equals_the_plaintext_one_within_a_bound(
    tmp_path: Path, optimizer: str, rate: float, bound: float
) -> None:
    """FedAvg, FedAvgM, FedAdam and FedYogi over ten rounds.

    FedAvg and FedAvgM differ by more than rounding: scales follow the mean of the updates, which
    gets small as the run converges, while updates of single sites do not, and are clipped.
    """
    overrides: dict[str, Any] = {
        "num-server-rounds": 10,
        "server-optimizer.name": optimizer,
        "server-optimizer.learning-rate": rate,
    }
    sealed = Consortium.placed(tmp_path / "sealed", NAMES[:3])
    course = sealed.start(**overrides)
    assert course.error is None
    clear = clear_vector(Consortium.placed(tmp_path / "clear", NAMES[:3]), **overrides)
    moved = float(np.linalg.norm(clear))
    assert moved > 0.1
    assert float(np.linalg.norm(vector_at(sealed, "east") - clear)) < bound * moved
    for name in NAMES[1:3]:
        assert vector_at(sealed, name).tolist() == vector_at(sealed, "east").tolist()


def test_the_same_seed_gives_the_same_model_with_other_keys(
    honest: Honest, consortium: Consortium
) -> None:
    """No key or noise that protects data comes from the seed."""
    course = consortium.start()
    assert course.model == honest[1].model
    openings, states, secrets = [], [], []
    for made, run in ((consortium, course), honest):
        asked, _ = run.answers("evaluate")[0]
        request = read_round(asked.content)
        openings.append(opening_of(request).run)
        states.append(request.state)
        session = made.place("east").session(request)
        secrets.append((session.terms.opened.scheme_secret, session.terms.opened.keys.pad))
    assert len(set(openings)) == len(set(states)) == 2
    assert not set(secrets[0]) & set(secrets[1])


def restarting(passing: Passing) -> RecordDict:
    """Restart every site before each message."""
    forget_processes()
    return passing.content


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param(absent("west", "train", 1, 2), id="joins at round 3"),
        pytest.param(both(restarting, absent("west", "train", 2)), id="restarts and skips"),
        pytest.param(absent("west", "train", 2), id="skips", marks=pytest.mark.slow),
        pytest.param(absent("west", "train", 3), id="misses the last", marks=pytest.mark.slow),
        pytest.param(absent("west", "train", 1, 2, 3), id="looks on", marks=pytest.mark.slow),
        pytest.param(
            both(absent("west", "train", 1), absent("south", "train", 2)),
            id="two, one after the other",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_site_that_is_late_skips_a_round_or_restarts_ends_in_the_same_state(
    consortium: Consortium, hook: Hook
) -> None:
    """Everything that it needs is in the next message."""
    course = consortium.start(down=hook)
    assert course.error is None
    assert set(course.models) == set(NAMES)
    assert len(set(course.models.values())) == 1
    assert {code for _, _, code in course.quarantined} <= {"silent"}


def test_restarting_processes_changes_nothing(honest: Honest, consortium: Consortium) -> None:
    assert consortium.start(down=restarting).model == honest[1].model


def test_a_site_that_crashed_before_it_replied_does_not_train_again(
    honest: Honest, consortium: Consortium, trainings: Counter[int]
) -> None:
    """Its reply was lost and the round void: the next attempt encrypts the same update."""
    lost: list[str] = []

    def dies(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) == ("train", 2) and len(lost) < 3:
            lost.append(passing.site)
            raise Vanished
        return passing.content

    course = consortium.start(up=dies)
    assert course.error is None
    assert lost == ["east", "north", "south"]
    assert course.model == honest[1].model
    assert set(trainings.values()) == {3}


# --- a coordinator that leads sites apart -----------------------------------------------------


def show_apart(consortium: Consortium, groups: dict[str, tuple[str, ...]], number: int) -> Hook:
    """Return a hook that shows each site only the updates of its group, added correctly."""
    uploads: dict[tuple[int, str], bytes] = {}
    layout = consortium.place(consortium.charter.names[0]).site.task.layout
    placement = update_placement(configured({}), consortium.charter, layout, 2)

    def hook(passing: Passing) -> RecordDict:
        if passing.kind != "train":
            return passing.content
        if "facts" in passing.content and "attempt" in passing.content["facts"]:
            if passing.number < number or passing.site not in groups:
                return passing.content
            request = read_round(passing.content)
            mine = groups[passing.site]
            receipts = [one for one in decode_receipts(request.receipts) if one.label.site in mine]
            sums = added(placement, [uploads[passing.number - 1, name] for name in mine])
            return altered(
                passing.content,
                receipts=encode_receipts(receipts),
                sums=sums,
                count_receipts=b"",
                count_sum=b"",
            )
        if "refusal" not in passing.content:
            uploads[passing.number, passing.site] = read_reply(passing.content).upload
        return passing.content

    return hook


def test_a_run_cannot_be_split_into_two_halves(tmp_path: Path) -> None:
    """Each half would be shown its own correct sums; but neither is a majority."""
    names = [f"site-{letter}" for letter in "abcdef"]
    consortium = Consortium.placed(tmp_path / "run", names)
    halves = {name: tuple(names[:3] if name in names[:3] else names[3:]) for name in names}
    hook = show_apart(consortium, halves, 2)
    course = consortium.start(down=hook, up=hook)
    assert isinstance(course.error, RoundVoid)
    assert course.quarantined == {(2, name, "site-refused.no-majority") for name in names}


def test_a_site_that_is_shown_another_sum_notices(consortium: Consortium) -> None:
    """North is shown the sum of three sites, the others that of four; both sums are correct."""
    hook = show_apart(consortium, {"north": ("east", "north", "south")}, 2)
    done: list[int] = []

    def once(passing: Passing) -> RecordDict:
        if passing.number == 2:
            done.append(1)
            return hook(passing)
        return hook(passing) if passing.number == 1 else passing.content

    course = consortium.start(down=once, up=once)
    assert course.error is None
    assert {one for one in course.quarantined if one[1] == "north"} == {
        (2, "north", "state-disputed"),
        (3, "north", "site-refused.rolled-back"),
        (4, "north", "site-refused.rolled-back"),
        (5, "north", "site-refused.no-final-state"),
    }
    assert set(course.models) == {"east", "south", "west"}
    assert len(set(course.models.values())) == 1


def test_the_sites_enforce_the_charters_minimum_number_of_sites(tmp_path: Path) -> None:
    """They do so whatever quorum the coordinator uses."""
    made = Consortium.placed(tmp_path / "run")
    floors = made.charter.floors.model_copy(update={"min_sites": 4})
    charter = made.charter.model_copy(update={"floors": floors})
    for name in NAMES:
        charter.write(made.run.site(name) / "charter.json")
    consortium = Consortium(run=made.run, charter=charter)
    hook = show_apart(consortium, dict.fromkeys(NAMES, NAMES[:3]), 2)
    course = consortium.start(down=hook, up=hook, quorum=4)
    assert isinstance(course.error, RoundVoid)
    codes = {site: code for _, site, code in course.quarantined}
    assert codes == {
        **dict.fromkeys(NAMES[:3], "site-refused.too-few-others"),
        "west": "site-refused.receipt-missing",
    }


def test_a_site_notices_that_the_coordinator_left_it_out(consortium: Consortium) -> None:
    """West is left out of round 1 although it has a receipt, and refuses to continue."""
    hook = show_apart(consortium, dict.fromkeys(NAMES, NAMES[:3]), 2)

    def first_only(passing: Passing) -> RecordDict:
        return hook(passing) if passing.number <= 2 else passing.content

    course = consortium.start(down=first_only, up=first_only)
    assert course.error is None
    assert (2, "west", "site-refused.receipt-missing") in course.quarantined
    assert len(set(course.models.values())) == 1
