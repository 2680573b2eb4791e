"""Runs whose updates are compressed, and runs that prune: in the clear, and encrypted."""

import zlib
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.charter.document import Floors
from consortium.client.clear_answers import ClearAtSite
from consortium.client.egress_schema import Sizes
from consortium.config import BadConfig
from consortium.model.files import read_model
from consortium.protocol.aggregation import rule_spec
from consortium.protocol.learning import require_exact_sums
from privacy.compression.codecs import TopK
from privacy.compression.counts_form import unpack_counts
from privacy.compression.plan import PruningPlan
from privacy.compression.update_form import UpdateForm
from privacy.layout import Vector
from privacy.policy.violations import NotReleased
from privacy.wire import flower_records as wire
from strategies.coordinator.plaintext.parameters import Progress
from tests.clear_consortium import clear_run
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    configured,
    forget_processes,
)

ROUNDS = 4
DIM = 5  # a logistic model: four weights and a bias
SENT = {"float16": 2 * DIM, "int8": DIM + 4 * 2, "top-k": 8 * 3}
KEPT = 2
PRUNED: dict[str, Any] = {"prune_to": 0.3, "prune_after": 2, "num_server_rounds": ROUNDS}


@pytest.fixture(scope="module")
def open_sites(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    """Sites that agreed on runs in the clear."""
    folder = tmp_path_factory.mktemp("open")
    return Consortium.placed(folder / "run", floors=Floors(full_class_examples=40))


def states(
    consortium: Consortium, up: Hook = as_it_is, **config: Any
) -> tuple[Course, list[Progress]]:
    """Return what a run left behind, and its progress before the first round and after each."""
    kept: list[Progress] = []
    chosen = {"num_server_rounds": ROUNDS, "compression-share": 0.5, **config}
    course = clear_run(consortium, chosen, up=up, keep=kept.append)
    assert course.error is None, course.error
    return course, kept


def model(consortium: Consortium, up: Hook = as_it_is, **config: Any) -> Vector:
    """Return the model that a run ended with, shape (DIM,)."""
    return states(consortium, up, **config)[1][-1].state.vector


def packed(course: Course) -> list[bytes]:
    """Return the updates that left, as they travelled."""
    contents = [wire.arrays_and_facts(answer)[0] for _, answer in course.answers("train")]
    return [bytes(arrays["packed"].data) for arrays in contents]


@pytest.mark.parametrize("name", list(SENT))
def test_a_compressed_run_ends_near_the_one_that_is_not(name: str, open_sites: Consortium) -> None:
    """Each update has the bytes that the page says, and what it lost comes with the next ones."""
    course, kept = states(open_sites, compression=name)
    assert {len(one) for one in packed(course)} == {SENT[name]}
    assert not course.quarantined
    plain = model(open_sites)
    distance = np.linalg.norm(kept[-1].state.vector - plain) / np.linalg.norm(plain)
    assert 0 < distance < {"float16": 0.001, "int8": 0.02, "top-k": 0.2}[name]


def test_what_an_update_left_is_in_the_next_one(open_sites: Consortium) -> None:
    """Each site sends what its records gave, and what it left out in the round before."""
    course, kept = states(open_sites, compression="top-k", num_server_rounds=2)
    asked = course.answers("train")
    for place, sent in enumerate(packed(course)[: len(NAMES)]):
        name = asked[place][0].site
        later = next(i for i, one in enumerate(asked) if i > place and one[0].site == name)
        site = open_sites.place(name, aggregation="clear").site
        form = UpdateForm(layout=kept[0].layout, codec=TopK(0.5))
        first, second = (
            site.task.train(
                site.data,
                kept[0].statistics,
                before.state.vector,
                site.run_config.training,
                rng=site.rng(server_round),
            ).update
            for server_round, before in enumerate(kept[:2], start=1)
        )
        begun = form.pack(first, None)
        assert begun.data == sent
        assert form.pack(second, begun.left).data == packed(course)[later]
        assert form.pack(second, None).data != packed(course)[later]


def test_what_is_left_outlives_a_restart(open_sites: Consortium) -> None:
    """A site whose process dies after every answer goes on with what it left out before."""

    def dies(passing: Passing) -> RecordDict:
        forget_processes()
        return passing.content

    lived = model(open_sites, compression="top-k")
    np.testing.assert_array_equal(model(open_sites, dies, compression="top-k"), lived)


@pytest.mark.parametrize("private", [{}, {"dp.unit": "person", "dp.noise-multiplier": 5.0}])
def test_a_question_that_is_repeated_gets_the_same_bytes(
    private: dict[str, Any], open_sites: Consortium
) -> None:
    """What is left goes into an update once, whoever asks again: with noise, too."""
    config = {"compression": "top-k", "dp.steps": 1, "dp.delta": 1e-6, **private}
    course, _ = states(open_sites, **config)
    chosen: dict[str, Any] = {
        "aggregation": "clear",
        "num-server-rounds": ROUNDS,
        "compression-share": 0.5,
    }
    for asked, answer in course.answers("train")[-len(NAMES) :]:
        forget_processes()
        place = open_sites.place(asked.site, **chosen, **config)
        again = place.ask("train", asked.content)
        assert wire.arrays_and_facts(again) == wire.arrays_and_facts(answer)


def instead(data: bytes) -> Hook:
    """Return what puts other bytes in the place of one site's update in the second round."""
    trained = []

    def up(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("south", "train"):
            return passing.content
        trained.append(passing.site)
        arrays, facts = wire.arrays_and_facts(passing.content)
        if len(trained) != 2:
            return passing.content
        return wire.content({**arrays, "packed": wire.bytes_array(data)}, dict(facts))  # type: ignore[arg-type]

    return up


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("top-k", np.array([0, 1, 5, 0, 0, 0], "<u4").tobytes(), "bad-compression"),
        ("top-k", np.array([0, 1, 1, 0, 0, 0], "<u4").tobytes(), "bad-compression"),
        ("top-k", np.array([0, 1, 2, 2**32 - 1, 0, 0], "<u4").tobytes(), "non-finite-update"),
        ("int8", np.array([np.nan, 1], "<f4").tobytes() + bytes(5), "bad-compression"),
        ("int8", bytes(12), "bad-compression"),
        ("int8", bytes(14), "malformed-record"),
        ("float16", b"\xff" * 10, "non-finite-update"),
    ],
    ids=["beyond", "twice", "nan-number", "nan-scale", "short", "long", "nan"],
)
def test_bytes_that_are_no_update_are_that_sites_absence(
    name: str, data: bytes, code: str, open_sites: Consortium
) -> None:
    """The others' round counts, and the site is asked again in the next one."""
    course, _ = states(open_sites, instead(data), compression=name, quorum=3)
    assert course.quarantined == {(2, "south", code)}
    assert [len(one.answered) for one in course.rounds[1:3]] == [3, 4]


def test_a_robust_rule_sees_the_updates_that_were_read(open_sites: Consortium) -> None:
    """A liar's update is out-voted in 8 bits, too."""
    robust: dict[str, Any] = {
        "rule.name": "coordinate-median",
        "weighting": "equal",
        "rule.num-byzantine": 1,
    }
    honest = model(open_sites, compression="int8", **robust)
    huge = np.array([1e30, 1e30], "<f4").tobytes() + b"\x7f" * DIM
    attacked = model(open_sites, instead(huge), compression="int8", **robust)
    assert np.linalg.norm(attacked - honest) < 0.2 * np.linalg.norm(honest)


def test_a_rule_by_coordinates_and_the_largest_numbers_are_refused(open_sites: Consortium) -> None:
    """The middle of numbers that most sites left out is zero: the model would stand still."""
    chosen = {"aggregation": "clear", "compression": "top-k", "weighting": "equal"}
    config = configured({**chosen, "rule.name": "coordinate-median"})
    with pytest.raises(BadConfig, match="int8 or float16"):
        rule_spec(config, open_sites.charter)
    rule_spec(configured({**chosen, "rule.name": "geometric-median"}), open_sites.charter)


def test_what_cannot_be_compressed_says_so(open_sites: Consortium) -> None:
    """Ciphertexts hold whole levels, tallies exact integers; a run that ends prunes nothing."""
    with pytest.raises(BadConfig, match="compact-8, or prune-to"):
        configured({"compression": "int8"})
    with pytest.raises(BadConfig, match="prune-after=5 leaves none of 3 rounds"):
        configured({"prune-to": 0.5, "num-server-rounds": 3})
    for schedule in ("buffered", "triggered"):
        with pytest.raises(BadConfig, match="set schedule to synchronous, or prune-to to 1"):
            configured({"aggregation": "clear", "prune-to": 0.5, "schedule": schedule})
    counted = configured({"aggregation": "clear", "learner": "glm", "compression": "int8"})
    with pytest.raises(BadConfig, match="compression to none"):
        require_exact_sums(counted, open_sites.charter)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("compression", ["none", "int8"])
def test_a_pruned_number_is_at_its_start_and_no_longer_sent(
    optimizer: str, compression: str, open_sites: Consortium
) -> None:
    """Nor does the momentum of the server's optimizer move it."""
    chosen: dict[str, Any] = {
        "server-optimizer.name": optimizer,
        "compression": compression,
    }
    course, kept = states(open_sites, **PRUNED, **chosen)
    dense, *sparse = [one.state.vector for one in kept[1:]]
    assert np.count_nonzero(dense) == DIM
    assert {tuple(np.flatnonzero(one)) for one in sparse} == {tuple(np.flatnonzero(sparse[0]))}
    assert np.count_nonzero(sparse[0]) == KEPT
    sizes = [DIM] * 8 + [KEPT] * 8  # four sites, two rounds each
    int8 = compression == "int8"
    assert [len(one) for one in packed(course)] == [n + 8 if int8 else 4 * n for n in sizes]


def test_what_is_pruned_is_not_trained_at_a_site(open_sites: Consortium) -> None:
    """Not even in between: the numbers that are kept adapt to the others as they are."""
    course, kept = states(open_sites, **PRUNED)
    asked, answer = course.answers("train")[-1]
    site = open_sites.place(asked.site, aggregation="clear", **PRUNED).site
    before = kept[-2].state.vector
    places = PruningPlan(share=0.3, after=2).places(before, ROUNDS)
    assert places is not None
    moves = np.zeros(DIM, bool)
    moves[places] = True
    plan = site.run_config.training.__class__(
        **{**vars(site.run_config.training), "kept": np.packbits(moves).tobytes()}
    )
    trained = site.task.train(
        site.data, kept[0].statistics, before, plan, rng=site.rng(ROUNDS)
    ).update
    assert set(np.flatnonzero(trained)) <= {*places.tolist()}
    sent = np.frombuffer(wire.arrays_and_facts(answer)[0]["packed"].data, "<f4")
    np.testing.assert_array_equal(sent, trained[places].astype(np.float32))


@pytest.mark.parametrize(
    ("masks", "scale_rule"),
    [
        (False, "following"),
        *(
            pytest.param(*chosen, marks=pytest.mark.slow)
            for chosen in ((True, "following"), (False, "doubling"), (True, "doubling"))
        ),
    ],
)
def test_an_encrypted_run_prunes_what_the_one_in_the_clear_prunes(
    masks: bool, scale_rule: str, open_sites: Consortium
) -> None:
    """All sites find the same places from the sum: no message says them, and levels are fewer."""
    # A site seals updates from one start with one scale rule only.
    seed = {"following": 8, "doubling": 9}[scale_rule]
    forget_processes()
    course = open_sites.start(masks=masks, scale_rule=scale_rule, seed=seed, **PRUNED)
    assert course.error is None, course.error
    assert not course.quarantined
    assert len({*course.models.values()}) == 1
    found = read_model(open_sites.run.site("east") / "model").vector
    clear = model(open_sites, seed=seed, **PRUNED)
    np.testing.assert_array_equal(np.flatnonzero(found), np.flatnonzero(clear))
    assert np.linalg.norm(found - clear) < 0.01 * np.linalg.norm(clear)


def test_no_more_leaves_than_the_form_says(open_sites: Consortium) -> None:
    """The site's door knows the length of a compressed update, and lets nothing longer out."""
    course, kept = states(open_sites, compression="int8")
    config = configured({"aggregation": "clear", "compression": "int8"})
    place = open_sites.place("east", aggregation="clear", compression="int8")
    sizes = Sizes(
        layout=kept[0].layout,
        statistics=place.site.task.statistics.layout.size,
        evaluation=place.site.task.evaluation.layout.size,
    )
    form = ClearAtSite().reply_forms(open_sites.charter, config, sizes)["train"]
    _, answer = course.answers("train")[0]
    form.require(answer)
    arrays, facts = wire.arrays_and_facts(answer)
    for other in (bytes(14), bytes(12)):
        packed_again = {**arrays, "packed": wire.bytes_array(other)}
        longer = wire.content(packed_again, dict(facts))  # type: ignore[arg-type]
        with pytest.raises(NotReleased):
            form.require(longer)
    assert ClearAtSite().largest_bytes(open_sites.charter, config, sizes) > 13


def test_counts_beside_a_compressed_update_are_those_of_the_run_without(
    open_sites: Consortium,
) -> None:
    """The same integers in fewer bytes: the figures of the first state are the same."""
    plain, _ = states(open_sites)
    course, _ = states(open_sites, compression="int8")
    size = open_sites.place("east", aggregation="clear").site.task.evaluation.layout.size
    for (_, sent), (_, short) in zip(
        plain.answers("train")[: len(NAMES)], course.answers("train")[: len(NAMES)], strict=True
    ):
        counted = wire.arrays_and_facts(sent)[0]["tally"]
        deflated = wire.arrays_and_facts(short)[0]["tally"]
        assert wire.read_tally(counted, size=size).tolist() == (
            unpack_counts(deflated.data, size).tolist()
        )
        assert len(deflated.data) < len(counted.data) / 4


def test_counts_leave_packed_in_one_form_only(open_sites: Consortium) -> None:
    """Deflated otherwise they are the same counts, and could carry what nobody agreed on."""
    course, _ = states(open_sites, compression="int8")
    site = open_sites.place("east", aggregation="clear", compression="int8").site
    asked, answer = next(one for one in course.answers("train") if one[0].site == "east")
    arrays, facts = wire.arrays_and_facts(answer)
    door = ClearAtSite()
    door.require_releasable(site, site.policy.releases, asked.kind, (arrays, facts))
    size = site.task.evaluation.layout.size
    raw = unpack_counts(arrays["tally"].data, size).tobytes()
    other = zlib.compress(raw, 1)
    data = (len(other).to_bytes(4, "little") + other).ljust(len(arrays["tally"].data), b"\0")
    assert unpack_counts(data, size).tobytes() == raw
    again = wire.content({**arrays, "tally": wire.bytes_array(data)}, dict(facts))  # type: ignore[arg-type]
    with pytest.raises(NotReleased, match="one form only"):
        door.require_releasable(
            site, site.policy.releases, asked.kind, wire.arrays_and_facts(again)
        )
