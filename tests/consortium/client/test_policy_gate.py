"""What passes the gate of a site, and what does not, whoever is behind it or before it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from consortium.charter.document import Floors
from consortium.client.egress_schema import Sizes
from consortium.client.mods import SiteError, gate_messages
from consortium.client.policy_gate import PolicyGate, asked_of, gate_of, sizes_of
from consortium.client.site_modes import at_site, reply_forms
from consortium.config import RunConfig
from consortium.site.policy_templates import MODELS, for_a_scenario, strict
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.policy.document import Policy, PolicyUnreadable, Releases
from privacy.policy.kill_switch import allow, stop_all
from privacy.policy.run_request import violations
from privacy.policy.violations import NotReleased
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.flower_records import bytes_array, refusal_content, tally_array, vector_array
from tests.consortium.staged import Ward, code_of, message, ward
from tests.decisions import decide
from tests.small_consortium import NAMES, Consortium, Course, Place, configured

KINDS = (messages.HELLO, messages.STATISTICS, messages.TRAIN, messages.EVALUATE)


class SecretSpilt(ConsortiumError, ValueError, code="secret-spilt"):
    """Something that only a test knows."""


@pytest.fixture(scope="module")
def hungary(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("run"))


@pytest.fixture
def fresh(tmp_path: Path) -> Ward:
    return ward(tmp_path)


def question(at: Ward, kind: str) -> RecordDict:
    if kind == messages.HELLO:
        return messages.greeting(at.site.charter.fingerprint, b"c" * 32)
    if kind.startswith("query."):
        return messages.question(at.site.charter.fingerprint)
    return at.position(at.vector())


def answered(at: Ward, kind: str) -> RecordDict:
    """Return what the honest app answers, through the gate."""
    return at.ask(kind, question(at, kind))


def passed(at: Ward, kind: str, content: RecordDict) -> RecordDict:
    """Return what leaves if the app behind the gate answers this."""
    asked = message(kind, question(at, kind))
    return gate_messages(
        asked, at.context, lambda asked, _: Message(content, reply_to=asked)
    ).content


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_honest_app_sends_is_exactly_what_may_leave(kind: str, hungary: Ward) -> None:
    gate = gate_of(hungary.site)
    content = answered(hungary, kind)
    assert not code_of(content)
    assert wire.num_bytes(content) <= gate.asked.message_bytes
    if kind != messages.HELLO:  # there the gate adds where its evidence stands
        gate.reply_forms[kind].require(content)


Spoil = Callable[[dict[str, Any], dict[str, Any]], Mapping[str, Any] | None]


def remade(content: RecordDict, spoil: Spoil) -> RecordDict:
    arrays, facts = wire.arrays_and_facts(content)
    parts: tuple[dict[str, Any], dict[str, Any]] = dict(arrays), dict(facts)
    more = spoil(*parts) or {}
    records = {"arrays": ArrayRecord(parts[0]), "facts": ConfigRecord(parts[1]), **more}
    return RecordDict({key: record for key, record in records.items() if record is not None})


def put(place: int, key: str, value: Any) -> Spoil:
    return lambda *parts: parts[place].__setitem__(key, value)


def reshaped(arrays: dict[str, Any], _: dict[str, Any]) -> None:
    data = np.frombuffer(arrays["update"].data, "<f4")
    arrays["update"] = vector_array(data.reshape(1, -1))


ANYWHERE: dict[str, Spoil] = {
    "a metric more": lambda _a, _f: {"metrics": MetricRecord({"mean-age": 61.5})},
    "a record more": lambda _a, _f: {"more": ConfigRecord({"patient": "17"})},
    "an empty record more": lambda _a, _f: {"more": ConfigRecord({})},
    "no facts": lambda _a, _f: {"facts": None},
    "metrics for facts": lambda _a, _f: {"facts": MetricRecord({"released": 1})},
    "an array more": put(0, "records", bytes_array(b"patient 17")),
    "an empty array more": put(0, "records", bytes_array(b"")),
    "a fact more": put(1, "mean-age", 61.5),
    "a text more": put(1, "note", "patient 17 has diabetes"),
    "a fact less": lambda _a, facts: facts.popitem() and None,
    "an array less": lambda arrays, _f: arrays.popitem() and None,
}
BY_KIND: dict[str, dict[str, Spoil]] = {
    messages.HELLO: {
        "another name": put(1, "site", "patient-17"),
        "another charter": put(1, "charter", "patient-17"),
        "more examples than any site has": put(1, "num-examples", 10**9),
        "an anchor of its own": put(0, "anchor", bytes_array(b"patient 17")),
        "a longer layout": put(0, "layout", bytes_array(b" " * 10_000)),
    },
    messages.TRAIN: {
        "a longer update": put(0, "update", vector_array(np.zeros(2_000))),
        "an update of another shape": reshaped,
        "an update of another type": put(0, "update", tally_array(np.zeros(1, np.int64))),
        "a longer tally": put(0, "tally", tally_array(np.zeros(5_000, np.int64))),
        "a text for a number": put(1, "num-examples", "61"),
        "a real number": put(1, "num-examples", 61.5),
        "bytes for a flag": put(1, "released", b"patient 17"),
        "a flag of many values": put(1, "released", 17),
    },
    messages.STATISTICS: {"other counts": put(0, "tally", tally_array(np.zeros(3, np.int64)))},
    messages.EVALUATE: {"other counts": put(0, "tally", tally_array(np.zeros(3, np.int64)))},
}
SPOILT = [
    pytest.param(kind, spoil, id=f"{kind}: {name}")
    for kind in KINDS
    for name, spoil in {**ANYWHERE, **BY_KIND[kind]}.items()
]


@pytest.mark.parametrize(("kind", "spoil"), SPOILT)
def test_whatever_is_not_on_the_list_is_stopped(kind: str, spoil: Spoil, hungary: Ward) -> None:
    """The app behind the gate may be anybody's: the metrics channel is an exit too."""
    content = remade(without_anchor(answered(hungary, kind)), spoil)
    left = passed(hungary, kind, content)
    assert code_of(left) == "not-released"
    assert set(left) == {"refusal"}
    assert "patient" not in str(left)


def without_anchor(content: RecordDict) -> RecordDict:
    """Return an introduction as the app makes it, before the gate has it."""

    def emptied(arrays: dict[str, Any], _: dict[str, Any]) -> None:
        if "anchor" in arrays:
            arrays["anchor"] = bytes_array(b"")

    return remade(content, emptied)


@given(data=st.data())
def test_no_key_that_is_not_listed_ever_leaves(hungary: Ward, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS[1:]))
    honest = answered_once(hungary, kind)
    key = data.draw(st.text(min_size=1, max_size=20).filter(lambda key: key not in FACTS_SENT))
    value = data.draw(st.integers(-(2**60), 2**60) | st.text(max_size=10) | st.binary(max_size=10))
    assert code_of(passed(hungary, kind, remade(honest, put(1, key, value)))) == "not-released"


FACTS_SENT = {"released", "num-examples", "site", "charter"}
_ONCE: dict[tuple[Path, str], RecordDict] = {}


def answered_once(at: Ward, kind: str) -> RecordDict:
    key = (at.run.path, kind)
    if key not in _ONCE:
        _ONCE[key] = answered(at, kind)
    return remade(_ONCE[key], lambda _a, _f: None)


REFUSALS: dict[str, RecordDict] = {
    "a code that nobody knows": RecordDict(
        {"refusal": ConfigRecord({"code": "patient-seventeen"})}
    ),
    "a text more": RecordDict(
        {"refusal": ConfigRecord({"code": "empty-site", "text": "patient 17"})}
    ),
    "a record more": RecordDict(
        {"refusal": ConfigRecord({"code": "empty-site"}), "more": ConfigRecord({"a": 1})}
    ),
    "a count that is none": RecordDict(
        {"refusal": ConfigRecord({"code": "empty-site", "count.rows": 2**41})}
    ),
}


@pytest.mark.parametrize("content", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_on_the_list_too(content: RecordDict, hungary: Ward) -> None:
    assert code_of(passed(hungary, messages.TRAIN, content)) in {"not-released", "site-error"}


def test_a_refusal_leaves_with_the_sites_name_and_its_counts_if_the_policy_lets_them(
    fresh: Ward,
) -> None:
    refused = refusal_content(SecretSpilt("patient 17", rows=3))
    left = passed(fresh, messages.TRAIN, refused)
    assert wire.read_refusal(left) == ("secret-spilt", {"rows": 3})
    assert wire.refusing_site(left) == "hungary"
    decide(fresh.site.directory, releases={"refusal_counts": False})
    left = passed(fresh, messages.TRAIN, refused)
    assert wire.read_refusal(left) == ("secret-spilt", {})


def test_the_policys_own_counts_always_leave(fresh: Ward) -> None:
    decide(fresh.site.directory, min_examples=10_000, releases={"refusal_counts": False})
    left = answered(fresh, messages.HELLO)
    assert wire.read_refusal(left) == ("too-few-examples", {"needed": 10_000})
    assert wire.refusing_site(left) == "hungary"


def test_an_answer_that_is_no_answer_leaves_as_a_refusal(hungary: Ward) -> None:
    asked = message(messages.TRAIN, question(hungary, messages.TRAIN))
    failed = Message(Error(0, "patient 17"), reply_to=asked)
    left = gate_messages(asked, hungary.context, lambda _m, _c: failed)
    assert code_of(left.content) == "not-released"
    assert "patient" not in str(left)


def test_what_goes_wrong_behind_the_gate_leaves_as_a_code(hungary: Ward) -> None:
    def broken(_message: Message, _context: object) -> Message:
        raise KeyError("patient 17")

    asked = message(messages.TRAIN, question(hungary, messages.TRAIN))
    left = gate_messages(asked, hungary.context, broken).content
    assert wire.read_refusal(left) == ("site-error", {})
    assert code_of(refusal_content(SiteError(""))) == "site-error"


def test_a_name_that_the_app_gave_its_message_does_not_leave(hungary: Ward) -> None:
    """Of what the app made only the content leaves: Flower's metadata hold texts."""

    def named(asked: Message, _context: object) -> Message:
        made = Message(answered_once(hungary, messages.EVALUATE), reply_to=asked)
        made.metadata.group_id = "patient 17"
        return made

    asked = message(messages.EVALUATE, question(hungary, messages.EVALUATE))
    try:
        left = gate_messages(asked, hungary.context, named)
    except AttributeError:  # Flower may come to forbid it
        return
    assert left.metadata.group_id == asked.metadata.group_id


DECISIONS: dict[str, dict[str, Any]] = {
    "task-not-allowed": {"tasks": ("credit",)},
    "learner-not-allowed": {"learners": ("glm",)},
    "model-not-allowed": {"models": ("linear",)},
    "columns-not-allowed": {"columns": ("age",)},
    "layout-not-allowed": {"max_dim": 3},
    "encryption-required": {"require_encryption": True},
    "privacy-required": {"privacy": {"required": True}},
    "crowd-too-small": {"min_sites": 9},
    "too-many-rounds": {"pace": {"rounds_per_run": 1}},
    "too-many-bytes": {"volume": {"per_message": 10}},
    "too-few-examples": {"min_examples": 10_000},
    "question-not-allowed": {"questions": ()},
    "outside-hours": {"windows": ({"opens": "00:00", "closes": "00:00"},)},
}


@pytest.mark.parametrize("code", DECISIONS)
def test_what_the_operator_does_not_allow_is_refused_before_anything_is_counted(
    code: str, fresh: Ward
) -> None:
    decide(fresh.site.directory, **DECISIONS[code])
    for kind in KINDS:
        assert code_of(answered(fresh, kind)) == code


def test_a_site_that_never_agreed_to_exact_sums_trains_and_does_not_count(tmp_path: Path) -> None:
    """The file is as it was written before there was the key."""
    training = ward(tmp_path)
    path = training.site.directory / "policy.json"
    old = json.loads(path.read_text())
    del old["learners"]
    path.write_text(json.dumps(old))
    for learner in ("glm", "describe", "trees"):
        counting = ward(tmp_path, learner=learner)
        for kind in KINDS:
            assert code_of(answered(counting, kind)) == "learner-not-allowed"
    for kind in KINDS:
        assert not code_of(answered(training, kind))


def test_a_site_that_allows_no_model_counts_if_its_policy_names_the_learner(tmp_path: Path) -> None:
    counting, training = ward(tmp_path, learner="describe"), ward(tmp_path)
    decide(counting.site.directory, models=(), learners=("gradient", "describe"))
    assert not code_of(answered(counting, messages.HELLO))
    assert code_of(answered(training, messages.HELLO)) == "model-not-allowed"


def test_a_decision_holds_from_the_next_message_on(fresh: Ward) -> None:
    assert not code_of(answered(fresh, messages.STATISTICS))
    decide(fresh.site.directory, tasks=())
    assert code_of(answered(fresh, messages.STATISTICS)) == "task-not-allowed"
    decide(fresh.site.directory, tasks=("diagnosis",))
    assert not code_of(answered(fresh, messages.STATISTICS))


def test_a_site_without_a_policy_answers_nothing(fresh: Ward) -> None:
    (fresh.site.directory / "policy.json").unlink()
    for kind in KINDS:
        assert code_of(passed(fresh, kind, RecordDict())) == "policy-unreadable"
    with pytest.raises(PolicyUnreadable):
        gate_of(fresh.site)


def test_a_stopped_site_answers_nothing_and_lets_nothing_out(fresh: Ward) -> None:
    stop_all(fresh.site.directory)
    assert code_of(answered(fresh, messages.HELLO)) == "stopped"
    allow(fresh.site.directory)
    assert not code_of(answered(fresh, messages.HELLO))

    def stopped_meanwhile(asked: Message, _context: object) -> Message:
        stop_all(fresh.site.directory)
        return Message(answered_once(fresh, messages.STATISTICS), reply_to=asked)

    answered_once(fresh, messages.STATISTICS)
    asked = message(messages.STATISTICS, question(fresh, messages.STATISTICS))
    left = gate_messages(asked, fresh.context, stopped_meanwhile)
    assert code_of(left.content) == "stopped"


def test_rates_hold(fresh: Ward) -> None:
    decide(fresh.site.directory, pace={"messages_per_hour": 2})
    codes = [code_of(answered(fresh, messages.STATISTICS)) for _ in range(3)]
    assert codes == ["", "", "too-often"]


def test_attempts_at_one_round_share_its_bytes(fresh: Ward) -> None:
    largest = gate_of(fresh.site).asked.message_bytes
    decide(fresh.site.directory, volume={"per_message": largest, "per_round": largest + 10})
    codes = [code_of(answered(fresh, messages.TRAIN)) for _ in range(2)]
    assert codes == ["", "too-many-bytes"]


# In the clear, the counts of one site leave: rounded, and of enough records, or not at all.


def test_the_number_of_examples_is_told_rounded_down(fresh: Ward) -> None:
    exact = fresh.site.data.train_examples
    decide(fresh.site.directory, releases={"examples_rounded_to": 50})
    for kind in (messages.HELLO, messages.TRAIN):
        _, facts = wire.arrays_and_facts(answered(fresh, kind))
        assert facts["num-examples"] == exact // 50 * 50 != exact
    exactly = remade(answered(fresh, messages.TRAIN), put(1, "num-examples", exact))
    assert code_of(passed(fresh, messages.TRAIN, exactly)) == "not-released"


def test_counts_of_too_few_records_leave_as_zeros(fresh: Ward) -> None:
    honest = answered_once(fresh, messages.EVALUATE)
    trained = answered(fresh, messages.TRAIN)
    decide(fresh.site.directory, releases={"minimum_pooled": 10_000})
    assert code_of(answered(fresh, messages.TRAIN)) == "not-released"  # kept from before
    for kind in (messages.STATISTICS, messages.TRAIN, messages.EVALUATE):
        later = fresh.position(fresh.vector(), 2)
        asked = later if kind == messages.TRAIN else question(fresh, kind)
        arrays, facts = wire.arrays_and_facts(fresh.ask(kind, asked))
        assert not np.frombuffer(arrays["tally"].data, "<i8").any()
        assert facts["released"] == 0
    for kind, content in ((messages.EVALUATE, honest), (messages.TRAIN, trained)):
        assert code_of(passed(fresh, kind, content)) == "not-released"


def test_figures_of_one_site_are_marked_as_shown_only_if_the_policy_shows_them(
    fresh: Ward,
) -> None:
    honest = answered_once(fresh, messages.EVALUATE)
    decide(fresh.site.directory, releases={"own_figures": False})
    _, facts = wire.arrays_and_facts(answered(fresh, messages.EVALUATE))
    assert facts["released"] == 0
    shown = remade(honest, put(1, "released", 1))
    assert code_of(passed(fresh, messages.EVALUATE, shown)) == "not-released"


# Under encryption.


@pytest.fixture(scope="module")
def seen(honest: tuple[Consortium, Course]) -> list[tuple[Place, str, RecordDict]]:
    """Every answer of a run in which nobody lied."""
    consortium, course = honest
    return [
        (consortium.place(asked.site), asked.kind, answer)
        for asked, answer in course.seen
        if asked.kind != messages.HELLO
    ]


def gates(
    places: list[tuple[Place, str, RecordDict]],
) -> Iterator[tuple[PolicyGate, str, RecordDict]]:
    for place, kind, answer in places:
        yield gate_of(place.site), kind, answer


def test_every_answer_of_an_encrypted_run_is_on_the_list(
    seen: list[tuple[Place, str, RecordDict]],
) -> None:
    kinds = set()
    for gate, kind, answer in gates(seen):
        gate.reply_forms[kind].require(answer)
        assert wire.num_bytes(answer) <= gate.asked.message_bytes
        kinds.add(kind)
    assert kinds >= {"query.statistics", "train", "evaluate", "query.release", "query.open"}


def without_counts(content: RecordDict) -> RecordDict:
    arrays, facts = wire.arrays_and_facts(content)
    held = ArrayRecord({**arrays, "tally": wire.tally_array(np.zeros(0, np.int64))})
    return RecordDict({wire.ARRAYS: held, wire.FACTS: facts})


def test_a_round_that_asks_for_no_counts_lets_none_out(hungary: Ward, tmp_path: Path) -> None:
    seldom = ward(tmp_path, evaluate_every=2)
    for number, counted in ((1, True), (2, False), (3, True)):
        sent = seldom.ask(messages.TRAIN, seldom.position(seldom.vector(), server_round=number))
        assert not code_of(sent)
        arrays, facts = wire.arrays_and_facts(sent)
        assert bool(arrays["tally"].shape[0]) == counted
        assert not facts["released"] or counted
    # Where every round asks, an answer without counts is none.
    form = gate_of(hungary.site).reply_forms[messages.TRAIN]
    with pytest.raises(NotReleased):
        form.require(without_counts(answered(hungary, messages.TRAIN)))


@pytest.mark.parametrize("name", ANYWHERE)
def test_nothing_else_leaves_an_encrypted_run(
    name: str, seen: list[tuple[Place, str, RecordDict]]
) -> None:
    for gate, kind, answer in list(gates(seen))[::7]:
        try:
            spoilt = remade(answer, ANYWHERE[name])
        except KeyError:
            continue  # nothing was there to take away
        with pytest.raises(NotReleased):
            gate.reply_forms[kind].require(spoilt)


def test_an_update_in_the_clear_does_not_leave_an_encrypted_run(
    seen: list[tuple[Place, str, RecordDict]],
) -> None:
    place, kind, answer = next(one for one in seen if one[1] == messages.TRAIN)
    gate = gate_of(place.site)
    dim = place.site.task.layout.dim
    for array in (vector_array(np.ones(dim)), bytes_array(np.ones(9 * dim, "<f8").tobytes())):
        with pytest.raises(NotReleased):
            gate.reply_forms[kind].require(remade(answer, put(0, "upload", array)))


def test_pooled_counts_leave_where_the_policy_releases_them(
    honest: tuple[Consortium, Course],
) -> None:
    consortium, course = honest
    asked, answer = next(
        (asked, answer)
        for asked, answer in course.answers("train")
        if "tally" in wire.arrays_and_facts(answer)[0]
    )
    place = consortium.place(asked.site)
    gate = gate_of(place.site)
    reply = Message(answer, reply_to=message("train", asked.content))
    passage = gate.admit(message("train", asked.content))
    assert gate.release(passage, reply) is answer
    closed = replace(gate, policy=gate.policy.model_copy(update={"releases": Releases()}))
    assert closed.release(passage, reply) is answer
    shut = Releases(pooled_figures=False)
    closed = replace(gate, policy=gate.policy.model_copy(update={"releases": shut}))
    with pytest.raises(NotReleased):
        closed.release(passage, reply)
    said = remade(answer, put(1, "released", 0))
    with pytest.raises(NotReleased):
        gate.release(passage, Message(said, reply_to=message("train", asked.content)))


def test_the_stricter_of_charter_and_policy_says_how_many_sites_a_sum_holds(
    tmp_path: Path,
) -> None:
    consortium = Consortium.placed(tmp_path / "run")
    site = consortium.place("north").site
    assert (site.min_others, site.min_sites) == (2, 2)
    decide(site.directory, min_sites=4)
    assert (site.min_others, site.min_sites) == (3, 4)
    course = consortium.start(
        down=lambda passing: absent_west(passing.site, passing.content), without="west"
    )
    assert course.error is not None
    assert {code for _, site, code in course.quarantined if site == "north"} >= {
        "site-refused.too-few-others"
    }


def absent_west(site: str, content: RecordDict) -> RecordDict:
    from scenarios.engines.in_process import Vanished

    if site == "west":
        raise Vanished
    return content


# What a run asks, as far as it is known before.


def test_what_a_run_asks_is_derived_from_charter_and_config(hungary: Ward) -> None:
    asked = gate_of(hungary.site).asked
    assert (asked.task, asked.encrypted, asked.crowd) == ("diagnosis", False, 2)
    assert set(asked.columns) == set(hungary.site.charter.table.columns)
    assert asked.dim == hungary.site.task.layout.dim


RUNS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["logistic", "mlp"]),
        "hidden-units": st.sampled_from([1, 32]),
        "buckets": st.sampled_from([1, 2]),
        "num-server-rounds": st.integers(1, 150),
        "server-optimizer.name": st.sampled_from(["sgd", "adam"]),
        "aggregation": st.sampled_from(["clear", "encrypted"]),
    }
)


@given(chosen=RUNS, floor=st.integers(1, 2), min_sites=st.integers(1, 4), dim=st.integers(5, 500))
def test_a_run_that_passes_the_check_is_refused_by_no_rule_that_was_known_at_the_start(
    hungary: Ward, chosen: dict[str, Any], floor: int, min_sites: int, dim: int
) -> None:
    """Policy and charter together: sizes, crowd, rounds and volume that fit, fit to the end."""
    config = RunConfig.parse(chosen)
    charter = hungary.site.charter.model_copy(update={"floors": Floors(min_others=floor)})
    site = Site(hungary.site.directory, hungary.site.config, charter, config)
    asked = asked_of(config, charter, site.task)
    policy = strict(charter).model_copy(update={"max_dim": dim, "min_sites": min_sites})
    if {one.code for one in violations(policy, asked)} - {
        "encryption-required",
        "privacy-required",
    }:
        return
    assert site.task.layout.dim <= policy.max_dim
    sizes = sizes_of(site.task, site.charter, site.run_config)
    assert at_site(config).largest_bytes(charter, config, sizes) <= policy.volume.per_message
    for form in reply_forms("hungary", charter, config, sizes).values():
        most = sum(one.most * one.width for one in form.arrays.values())
        assert most <= policy.volume.per_message
    assert config.num_server_rounds <= policy.pace.rounds_per_run
    if config.aggregation == "encrypted":
        assert len(charter.names) // config.buckets >= policy.min_sites


def test_a_new_site_is_strict_and_a_scenarios_is_not(hungary: Ward) -> None:
    charter, site = hungary.site.charter, hungary.site
    asked = asked_of(site.run_config, charter, site.task)
    assert {one.code for one in violations(strict(charter), asked)} == {
        "encryption-required",
        "privacy-required",
        "crowd-too-small",
    }
    assert violations(for_a_scenario(charter), asked) == ()
    assert isinstance(strict(charter), Policy)
    assert set(MODELS) >= {"logistic", "linear", "mlp"}
    assert isinstance(sizes_of(site.task, site.charter, site.run_config), Sizes)


def test_encrypted_tests_have_a_policy_of_their_own(tmp_path: Path) -> None:
    consortium = Consortium.placed(tmp_path / "run")
    site = consortium.place(NAMES[0]).site
    asked = asked_of(configured({}), consortium.charter, site.task)
    assert violations(site.policy, asked) == ()
