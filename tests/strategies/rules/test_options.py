import numpy as np
import pytest

from strategies.rules.inputs import OptionRefused, RuleOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_byzantine", -1),
        ("clip_norm", 0.0),
        ("clip_norm", -1.0),
        ("clip_norm", np.inf),
        ("clip_norm", np.nan),
        ("momentum", -0.1),
        ("momentum", 1.0),
        ("iterations", 0),
    ],
)
def test_options_out_of_range_are_refused_with_the_number(name: str, value: float) -> None:
    with pytest.raises(OptionRefused, match=rf"{name} must be .*got {value}"):
        RuleOptions(**{name: value})  # type: ignore[arg-type]  # some are whole numbers
