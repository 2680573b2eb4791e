"""The curves of a folder, as TensorBoard itself reads them."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def curves_in(folder: Path) -> dict[str, dict[int, float]]:
    """Return the value at each step, by the curve's name."""
    found = EventAccumulator(str(folder)).Reload()
    tags = found.Tags()
    scalars = {tag: found.Scalars(tag) for tag in tags["scalars"]}
    if scalars:
        return {tag: {one.step: one.value for one in steps} for tag, steps in scalars.items()}
    return {
        tag: {one.step: float(one.tensor_proto.float_val[0]) for one in found.Tensors(tag)}
        for tag in tags["tensors"]
    }
