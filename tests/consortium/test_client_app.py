"""What a site answers, asked by hand."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from consortium.client.mod_types import Next
from consortium.client_app import client_app
from consortium.model.files import read_model
from privacy.layout import Vector
from privacy.wire import flower_records as wire
from privacy.wire import messages
from sites.evaluation.score_bins import ScoreBins
from tests.consortium.staged import Ward, message, ward
from tests.decisions import decide

KINDS = (messages.HELLO, messages.STATISTICS, messages.TRAIN, messages.EVALUATE)
MAX_EXAMPLES = 10**9
CHALLENGE = b"c" * 32


@pytest.fixture(scope="module")
def hungary(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("run"))


def question(at: Ward) -> RecordDict:
    return messages.question(at.site.charter.fingerprint)


def greeting(at: Ward) -> RecordDict:
    return messages.greeting(at.site.charter.fingerprint, CHALLENGE)


def trained(at: Ward, vector: Vector, server_round: int = 1) -> messages.Contribution:
    task = at.site.task
    return messages.read_contribution(
        at.ask(messages.TRAIN, at.position(vector, server_round)),
        dim=task.layout.dim,
        tally_size=task.evaluation.layout.size,
        max_examples=MAX_EXAMPLES,
    )


def counted(at: Ward, kind: str, content: RecordDict) -> messages.Counts:
    task = at.site.task
    size = (task.statistics if kind == messages.STATISTICS else task.evaluation).layout.size
    return messages.read_counts(at.ask(kind, content), tally_size=size)


def test_a_site_says_who_it_is_and_what_it_would_train(hungary: Ward) -> None:
    answer = hungary.ask(messages.HELLO, greeting(hungary))
    said = messages.read_introduction(answer, max_examples=MAX_EXAMPLES)
    assert said.site == "hungary"
    assert said.charter == hungary.site.charter.fingerprint
    assert said.layout == hungary.site.task.layout
    assert said.num_examples == hungary.site.data.train_examples


def test_statistics_are_those_of_the_training_records(hungary: Ward) -> None:
    told = counted(hungary, messages.STATISTICS, question(hungary))
    assert np.array_equal(told.tally, hungary.statistics)
    assert told.released


def test_an_update_is_what_training_changed_and_the_counts_are_of_the_received_state(
    hungary: Ward,
) -> None:
    vector, site = hungary.vector(), hungary.site
    given = trained(hungary, vector)
    plan, rng = site.run_config.training, site.rng(1)
    expected = site.task.train(site.data, hungary.statistics, vector, plan, rng=rng)
    assert np.array_equal(given.update, expected.update)
    assert given.num_examples == expected.num_examples == site.data.train_examples
    evaluated = site.task.evaluate(
        site.data, hungary.statistics, vector, ScoreBins(hungary.first_bins)
    )
    assert np.array_equal(given.tally, evaluated)


def test_training_asked_twice_gives_the_same_and_another_round_another_order(
    hungary: Ward,
) -> None:
    """A message that is sent again after a lost reply must not move the model otherwise."""
    vector = hungary.vector()
    first, again, later = (trained(hungary, vector, turn) for turn in (1, 1, 2))
    assert np.array_equal(first.update, again.update)
    assert not np.array_equal(first.update, later.update)


def test_the_final_state_is_evaluated_and_kept_as_a_model(hungary: Ward) -> None:
    vector, site = hungary.vector(11), hungary.site
    told = counted(hungary, messages.EVALUATE, hungary.position(vector, 3))
    assert np.array_equal(
        told.tally,
        site.task.evaluate(site.data, hungary.statistics, vector, ScoreBins(hungary.first_bins)),
    )
    model = read_model(site.directory / "model")
    assert np.array_equal(model.vector, vector)
    assert np.array_equal(model.statistics, hungary.statistics)


def test_training_leaves_no_model_behind(tmp_path: Path) -> None:
    """Only the end of a run does: a half-trained model is nobody's to use."""
    fresh = ward(tmp_path)
    trained(fresh, fresh.vector())
    assert not (fresh.site.directory / "model").exists()


def test_figures_that_the_operator_withholds_are_marked_so(tmp_path: Path) -> None:
    fresh = ward(tmp_path)
    decide(fresh.site.directory, releases={"own_figures": False})
    assert not counted(fresh, messages.STATISTICS, question(fresh)).released
    assert not counted(fresh, messages.EVALUATE, fresh.position(fresh.vector())).released
    assert not trained(fresh, fresh.vector()).released


def test_figures_of_too_few_persons_are_marked_so(tmp_path: Path) -> None:
    fresh = ward(tmp_path)
    decide(fresh.site.directory, releases={"minimum_count": 1_000})
    assert not counted(fresh, messages.STATISTICS, question(fresh)).released
    assert not trained(fresh, fresh.vector()).released


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_of_another_charter_is_refused_before_anything_is_counted(
    kind: str, hungary: Ward
) -> None:
    put = {messages.HELLO: greeting, messages.STATISTICS: question}.get(kind)
    asked = put(hungary) if put else hungary.position(hungary.vector())
    facts = asked[wire.FACTS]
    assert isinstance(facts, ConfigRecord)
    facts["charter"] = "0" * 64
    assert hungary.refusal(kind, asked) == "other-charter"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_of_another_form_is_refused(kind: str, hungary: Ward) -> None:
    short = np.zeros(hungary.site.task.layout.dim - 1)
    for content in (RecordDict(), RecordDict({"x": ConfigRecord()}), hungary.position(short)):
        assert hungary.refusal(kind, content) == "malformed-record"


def test_a_state_that_is_not_finite_gives_no_update(hungary: Ward) -> None:
    vector = hungary.vector()
    vector[0] = np.nan
    assert hungary.refusal(messages.TRAIN, hungary.position(vector, 4)) == "malformed-record"


def test_mods_of_a_scenario_see_every_message_in_the_clear(hungary: Ward) -> None:
    """They are inside the seal; in an encrypted run they see the same."""
    seen = []

    def watching(asked: Message, context: Context, call_next: Next) -> Message:
        seen.append((asked.metadata.message_type, set(asked.content)))
        return call_next(asked, context)

    app = client_app(watching)
    app(message(messages.HELLO, greeting(hungary)), hungary.context)
    app(message(messages.TRAIN, hungary.position(hungary.vector())), hungary.context)
    assert seen == [
        (messages.HELLO, {wire.ARRAYS, wire.FACTS}),
        (messages.TRAIN, {wire.ARRAYS, wire.FACTS}),
    ]


def test_a_mod_that_raises_is_refused_like_anything_at_a_site(hungary: Ward) -> None:
    def failing(_asked: Message, _context: Context, _next: Next) -> Message:
        raise RuntimeError("patient Jane Roe")

    answer = client_app(failing)(message(messages.HELLO, greeting(hungary)), hungary.context)
    assert wire.read_refusal(answer.content) == ("site-error", {})
