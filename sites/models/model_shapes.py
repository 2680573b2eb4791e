"""The shapes of a model, which follow from schema and plan before there is a model."""

from typing import TypeAlias

from privacy.layout import Field
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, Label, NumberLabel
from sites.schema.texts import MultiLabel

Predicted: TypeAlias = Label | MultiLabel


def n_outputs(label: Predicted) -> int:
    """Return the outputs of a model: one, or one a class where it is not two, or one a label."""
    match label:
        case MultiLabel(labels=names):
            return len(names)
        case ClassLabel(binary=True) | NumberLabel():
            return 1
        case ClassLabel(classes=classes):
            return len(classes)


def model_fields(plan: ModelPlan, *, n_inputs: int, n_outputs: int) -> tuple[Field, ...]:
    """Return names and shapes of the parameters of `sites.models.tabular.model_for`."""
    match plan.name:
        case "logistic" | "linear":
            return _layer("output", n_inputs, n_outputs)
        case "mlp":
            hidden = plan.hidden_units
            return (*_layer("hidden", n_inputs, hidden), *_layer("output", hidden, n_outputs))


def _layer(name: str, n_inputs: int, n_outputs: int) -> tuple[Field, Field]:
    return Field(f"{name}.weight", (n_outputs, n_inputs)), Field(f"{name}.bias", (n_outputs,))
