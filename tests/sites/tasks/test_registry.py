import subprocess
import sys

import pytest

from sites.plans import ModelName, ModelPlan
from sites.schema.tables import ClassLabel, EventTimeLabel, Label, Number, NumberLabel, Schema
from sites.schema.texts import EntitySchema, NotesSchema
from sites.tasks.registry import TABULAR, TASKS, UnknownTask, load_libraries, task_for, usual_task

BINARY = ClassLabel(column="label", classes=("no", "yes"))
GRADED = ClassLabel(column="label", classes=("0", "1", "2", "3", "4"))
ENDED = EventTimeLabel(column="label", classes=("alive", "dead"), time="days", high=9)
VALUE = NumberLabel(column="label", low=0, high=1)


def schema(label: Label) -> Schema:
    features = (Number(name="age", low=0, high=120),)
    return Schema(name="table", person="person", features=features, label=label)


@pytest.mark.parametrize(
    ("name", "label", "model", "dim"),
    [
        ("credit", BINARY, "logistic", 2),
        ("credit", BINARY, "mlp", 4),
        ("diagnosis", BINARY, "logistic", 2),
        ("diagnosis", GRADED, "logistic", 10),
        ("diagnosis", GRADED, "mlp", 12),
        ("house-prices", VALUE, "linear", 2),
        ("house-prices", VALUE, "mlp", 4),
    ],
)
def test_a_task_is_built_by_name(name: str, label: Label, model: ModelName, dim: int) -> None:
    plan = ModelPlan(name=model, hidden_units=1)
    task = task_for(name, schema(label), plan, seed=7)
    assert (task.name, task.schema.label, task.model) == (name, label, plan)
    assert task.layout.dim == dim
    assert "seed=7" in task.layout.start


@pytest.mark.parametrize("name", sorted({*TASKS} - {"survival"}))
def test_the_libraries_of_a_task_can_be_loaded_in_advance(name: str) -> None:
    load_libraries(name, schema(BINARY), learning=True)
    learns = "sites.tasks.tabular.model" if name in TABULAR else "sites.tasks.text.use_cases"
    assert learns in sys.modules


def test_of_a_task_that_counts_only_what_reads_is_loaded_in_advance() -> None:
    code = (
        "import sys; from sites.tasks.registry import load_libraries; "
        "from tests.sites.tasks.test_registry import BINARY, ENDED, schema; "
        "load_libraries('survival', schema(ENDED), learning=True); "
        "load_libraries('credit', schema(BINARY), learning=False); "
        "assert 'sites.tasks.tabular.loading' in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_loaded_for_an_unknown_task() -> None:
    load_libraries("of tomorrow", schema(BINARY), learning=True)


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownTask, match=r"did you mean 'diagnosis'\?"):
        task_for("diagnoses", schema(BINARY), ModelPlan(), seed=7)
    with pytest.raises(UnknownTask, match=f"the tasks are {', '.join(TASKS)}"):
        task_for("x", schema(BINARY), ModelPlan(), seed=7)


@pytest.mark.parametrize(
    ("label", "name"),
    [(BINARY, "diagnosis"), (GRADED, "diagnosis"), (VALUE, "house-prices"), (ENDED, "survival")],
)
def test_a_schema_of_which_nobody_says_more_has_a_task_that_takes_it(
    label: Label, name: str
) -> None:
    assert usual_task(schema(label)) == name


def test_texts_have_the_task_of_their_kind() -> None:
    assert usual_task(NotesSchema(name="notes", label=BINARY)) == "clinical-notes"
    assert usual_task(EntitySchema(name="notes", types=("DRUG",))) == "clinical-entities"
