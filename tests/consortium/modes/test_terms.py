"""What each mode demands of a run config and a charter."""

import pytest

from consortium.charter.document import Charter, Floors
from consortium.modes.contract import OutsideCharter
from consortium.modes.registry import mode_of
from consortium.protocol.parameters import step_of
from privacy.layout import Field, Layout
from scenarios.library.registry import SCENARIOS
from tests.small_consortium import configured

LAYOUT = Layout(fields=(Field("weight", (3, 5)), Field("bias", (3,))))
CHARTER = SCENARIOS["bank-credit"].charter


def floored(**floors: float | bool) -> Charter:
    return CHARTER.model_copy(update={"floors": Floors.model_validate(floors)})


def test_who_agreed_on_encryption_is_not_asked_for_less() -> None:
    sealed, clear = configured({}), configured({"aggregation": "clear"})
    mode_of(sealed).require_agreed(sealed, floored(encrypted=True))
    mode_of(sealed).require_agreed(sealed, floored())
    mode_of(clear).require_agreed(clear, floored())
    with pytest.raises(OutsideCharter, match="encrypted"):
        mode_of(clear).require_agreed(clear, floored(encrypted=True))


@pytest.mark.parametrize(("scale", "fits"), [(0.5, True), (2.0, True), (0.49, False), (2.1, False)])
def test_the_first_scale_keeps_to_the_charters_bounds(scale: float, fits: bool) -> None:
    charter = floored(smallest_scale=0.5, largest_scale=2.0)
    config = configured({"first-scale": scale})
    if fits:
        mode_of(config).require_agreed(config, charter)
        assert step_of(config, charter, LAYOUT).first_scale == scale
    else:
        with pytest.raises(OutsideCharter, match="first-scale"):
            mode_of(config).require_agreed(config, charter)


def test_in_the_clear_there_is_no_scale_to_bound() -> None:
    config = configured({"aggregation": "clear", "first-scale": 1e9})
    mode_of(config).require_agreed(config, floored())
