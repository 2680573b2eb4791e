"""The models for tables: a linear model and a perceptron with one hidden layer."""

from torch import Tensor, nn

from sites.plans import ModelPlan


class _Layer(nn.Linear):
    """A linear layer whose parameters are set before they are used."""

    def reset_parameters(self) -> None:
        """Draw nothing: the numbers would be overwritten, and torch's generator stays as it was."""


class Linear(nn.Module):
    """A linear layer: logistic regression with a classification loss, else linear regression."""

    base_model_prefix = "hidden"  # it has no body: all of it is the head

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.output = _Layer(n_inputs, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scores, shape (B, n_outputs), for inputs of shape (B, n_inputs)."""
        scores: Tensor = self.output(inputs)
        return scores


class Perceptron(nn.Module):
    """A multilayer perceptron with one hidden layer of rectified linear units."""

    base_model_prefix = "hidden"

    def __init__(self, n_inputs: int, hidden_units: int, n_outputs: int) -> None:
        super().__init__()
        self.hidden = _Layer(n_inputs, hidden_units)
        self.output = _Layer(hidden_units, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scores, shape (B, n_outputs), for inputs of shape (B, n_inputs)."""
        scores: Tensor = self.output(self.hidden(inputs).relu())
        return scores


def model_for(plan: ModelPlan, *, n_inputs: int, n_outputs: int) -> Linear | Perceptron:
    """Return the planned model; its parameters are arbitrary until they are set."""
    match plan.name:
        case "logistic" | "linear":
            return Linear(n_inputs, n_outputs)
        case "mlp":
            return Perceptron(n_inputs, plan.hidden_units, n_outputs)
