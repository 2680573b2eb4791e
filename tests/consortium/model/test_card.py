from dataclasses import replace

import numpy as np
import pytest

from consortium.charter.document import Charter, Member
from consortium.config import RunConfig, Scalar
from consortium.model.card import ModelEvaluation, RunOutcome, Subject, model_card
from consortium.model.coefficients import coefficients_note
from consortium.run.records import Arm, Comparison
from sites.evaluation.contract import evaluation_for
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.schema.texts import AnySchema, EntitySchema, MultiLabel, NotesSchema
from sites.statistics.coefficients import Coefficient, LinearSum
from sites.statistics.contract import statistics_for
from sites.statistics.tables import TableStatistics
from sites.statistics.texts import TextStatistics

NOTES = NotesSchema(name="notes", label=ClassLabel(column="mood", classes=("bad", "good", "odd")))
LABELS = NotesSchema(name="notes", label=MultiLabel(column="found", labels=("a", "b")))
ENTITIES = EntitySchema(name="words", types=("Drug",))
AGE = Number(name="age", low=0, high=120, unit="years")
PRICES = Schema(
    name="prices",
    person="owner",
    features=(AGE,),
    label=NumberLabel(column="price", low=0, high=9),
)
LENGTHS = np.array([10, 20, 30, 4000])


def subject(
    table: AnySchema = NOTES, *, released: bool = True, config: dict[str, Scalar] | None = None
) -> Subject:
    charter = Charter(
        name="ward", task="clinical-notes", table=table, members=(Member(name="one"),)
    )
    statistics = statistics_for(table)
    tally = np.zeros(statistics.layout.size, np.int64)
    if released and isinstance(statistics, TextStatistics):
        labels = {
            "notes": np.array([0, 1, 1, 2]),
            "labels": np.eye(2, dtype=np.int64)[[0, 1, 1, 0]],
        }
        kind = "labels" if table is LABELS else "notes"
        chosen = np.ones((4, 1), np.int64) if table is ENTITIES else labels[kind]
        tally = statistics.tally(LENGTHS, chosen, persons=3)
    elif released and isinstance(statistics, TableStatistics):
        ages = np.array([1.0, 2.0, 60.0, 70.0])
        tally = statistics.tally({"age": ages}, ages / 10, persons=4)
    return Subject(
        charter=charter,
        config=RunConfig.parse(config or {}),
        statistics=tally,
        digest="d" * 64,
        start="base=abc",
    )


def judged(comparison: Comparison | None = None) -> RunOutcome:
    shares = np.eye(3)[[0, 1, 1, 0]]
    evaluation = evaluation_for(NOTES)
    tally = evaluation.tally(shares, np.array([0, 1, 1, 1]))
    evaluated = ModelEvaluation(evaluation=evaluation, tally=tally, comparison=comparison)
    return RunOutcome(trained=subject().charter.names, judged=evaluated)


def test_a_card_is_filled_from_what_was_recorded() -> None:
    card = model_card(subject(), judged())
    assert "4 training records of 3 persons" in card
    assert "`mood`: good 50 %," in card
    assert "| Accuracy | 0.750 |" in card
    assert "class odd: has no held-out record" in card
    assert "rank 8" in card
    assert "Without differential privacy" in card
    assert "general English" in card
    assert "d" * 64 in card


def test_what_is_not_known_is_said_to_be() -> None:
    card = model_card(subject(released=False), None)
    assert "Nothing about the training records was released" in card
    assert "Unknown: the card" in card


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (LABELS, "`found`: b 50 %, a 50 %"),
        (ENTITIES, "`entity`: Drug 100 %"),
        (PRICES, "A model of kind `mlp` for the columns of `prices`"),
    ],
)
def test_every_kind_of_record_has_a_card(table: AnySchema, said: str) -> None:
    assert said in model_card(subject(table), None)
    assert model_card(subject(table, released=False), None)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"aggregation": "encrypted"}, "added ciphertexts"),
        ({"travels": "head"}, "trained: the head"),
        ({"travels": "top-k"}, "the last 2 layers"),
        ({"travels": "full"}, "everything"),
        ({"dp.unit": "person", "dp.epsilon": 3.0}, "private by person: epsilon 3"),
        ({"dp.unit": "record", "dp.noise-multiplier": 1.5}, "noise multiplier 1.5"),
    ],
)
def test_how_it_was_trained_is_said(config: dict[str, Scalar], said: str) -> None:
    assert said in model_card(subject(config=config), None)


def test_the_interval_of_the_headline_is_that_of_the_comparison() -> None:
    arm = Arm(name="together", kind="federated", value=0.7, low=0.612, high=0.781)
    comparison = Comparison(
        metric="macro_f1",
        metric_title="Macro F1",
        higher_is_better=True,
        held_out=4,
        resamples=100,
        arms=[arm],
        differences=[],
        seconds=1,
    )
    assert "0.612 to 0.781" in model_card(subject(), judged(comparison))


def test_a_linear_model_shows_what_it_weighs() -> None:
    weighed = LinearSum(
        of="mood",
        classes=("good", "bad"),
        intercept=-0.5,
        own_intercept=-2.0,
        coefficients=(
            Coefficient(name="age", standardised=0.25, own=0.0, unit="years"),
            Coefficient(name="income", standardised=0.5, own=0.2, logarithmic=True),
        ),
    )
    card = model_card(replace(subject(), linear_sums=(weighed,)), None)
    assert "log-odds of `mood` = `good` against `bad`" in card
    assert "| `age` (years) | 0.25 | 0 | 1 |\n| intercept | -0.5 | -2 |  |\n" in card
    assert "|---|--:|--:|--:|\n| ln(1 + `income`) | 0.5 | 0.2 | 1.221 |" in card
    assert coefficients_note(subject().config, counted=True) in card
    assert "What it weighs" not in model_card(subject(), None)
    uncounted = model_card(replace(subject(released=False), linear_sums=(weighed,)), None)
    assert coefficients_note(subject().config, counted=False) in uncounted


@pytest.mark.parametrize(
    ("trained", "without", "said"),
    [
        (("east", "north", "west"), "", "by 3 sites."),
        (("east", "west"), "", "by 2 of 3 sites (east and west)."),
        (("east", "west"), "north", "by 2 of 3 sites (east and west)."),
        ((), "", "by members of a consortium of 3 sites; which of them took part"),
        ((), "north", "by members of a consortium of 3 sites without north; which of them"),
    ],
)
def test_a_card_names_as_many_sites_as_are_in_the_model(
    trained: tuple[str, ...], without: str, said: str
) -> None:
    model = subject(config={"without": without} if without else None)
    charter = model.charter.model_copy(
        update={"members": tuple(Member(name=name) for name in ("east", "north", "west"))}
    )
    outcome = RunOutcome(trained=trained) if trained else None
    assert said in model_card(replace(model, charter=charter), outcome)


def test_a_card_tells_no_small_count() -> None:
    """With a table of the same records that hides it, a count here would tell it."""
    card = model_card(subject(LABELS), None)
    (line,) = [one for one in card.splitlines() if one.startswith("- `found`")]
    assert line == "- `found`: b 50 %, a 50 %"
