"""What of a model travels, read off the model itself."""

from torch import nn

from privacy.layout import Field


def fields_of(model: nn.Module) -> tuple[Field, ...]:
    """Return names and shapes of the model's trainable parameters, in the model's order."""
    return tuple(
        Field(name, tuple(parameter.shape))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    )
