"""Use cases of tables: credit default, diagnosis, house prices, survival.

All are the same task; they differ only in the labels that they accept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sites.plans import Counting, ModelPlan
from sites.schema.tables import ClassLabel, EventTimeLabel, Label, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask


@dataclass(frozen=True)
class UseCase:
    """What a use case predicts.

    Args:
        accepts: Whether it can predict a label.
        needs: The labels that it accepts, in words.
    """

    accepts: Callable[[Label], bool]
    needs: str


_PLAIN = Counting()
USE_CASES: Mapping[str, UseCase] = MappingProxyType(
    {
        "credit": UseCase(
            lambda label: isinstance(label, ClassLabel) and label.binary, "a label with two classes"
        ),
        "diagnosis": UseCase(lambda label: isinstance(label, ClassLabel), "a label with classes"),
        "house-prices": UseCase(
            lambda label: isinstance(label, NumberLabel), "a number as its label"
        ),
        "survival": UseCase(
            lambda label: isinstance(label, EventTimeLabel), "a time until an event as its label"
        ),
    }
)


def tabular_task(
    name: str, schema: Schema, model: ModelPlan, *, seed: int, counting: Counting = _PLAIN
) -> TabularTask:
    """Return the task of a use case in `USE_CASES`, for linear models or a small perceptron.

    Raises:
        UnfitSchema: The use case does not accept the label.
        BadPlan: The model does not fit the label.
    """
    case, label = USE_CASES[name], schema.label
    if not case.accepts(label):
        raise UnfitSchema(f"{name} needs {case.needs}, but {label.column} {_found(label)}")
    return TabularTask(name, schema, model, seed, counting)


def _found(label: Label) -> str:
    match label:
        case ClassLabel(classes=classes):
            return f"has {len(classes)} classes"
        case NumberLabel():
            return "is a number"
        case EventTimeLabel():
            return "is how a time ended"
