"""Which mode a run config names, and which one the summary of a run that was recorded."""

import pytest

from consortium.config import RunConfig, Scalar
from consortium.modes.clear import InTheClear
from consortium.modes.contract import Mode
from consortium.modes.encrypted import Encrypted
from consortium.modes.masked import Masked
from consortium.modes.registry import mode_of, recorded_mode

RUNS: list[tuple[dict[str, Scalar], type[Mode]]] = [
    ({}, InTheClear),
    ({"masks": True}, InTheClear),
    ({"aggregation": "encrypted"}, Encrypted),
    ({"aggregation": "encrypted", "masks": False}, Encrypted),
    ({"aggregation": "encrypted", "masks": True}, Masked),
]


@pytest.mark.parametrize(("chosen", "kind"), RUNS)
def test_masks_make_an_encrypted_run_a_masked_one_and_change_no_other(
    chosen: dict[str, Scalar], kind: type[Mode]
) -> None:
    config = RunConfig.parse(chosen)
    assert type(mode_of(config)) is kind
    assert mode_of(config) is mode_of(RunConfig.parse(config.flat()))


@pytest.mark.parametrize(("chosen", "kind"), RUNS)
def test_a_recorded_run_has_the_mode_that_it_ran_in(
    chosen: dict[str, Scalar], kind: type[Mode]
) -> None:
    """Whether its summary names every key, or those of a version that knew fewer."""
    assert type(recorded_mode(chosen)) is kind
    assert type(recorded_mode(RunConfig.parse(chosen).flat())) is kind


def test_masks_change_no_update_and_yet_the_run_that_a_digest_names() -> None:
    plain, masked = (RunConfig(aggregation="encrypted", masks=masks) for masks in (False, True))
    assert plain.update_settings == masked.update_settings
    assert plain.digest != masked.digest


@pytest.mark.parametrize(("chosen", "kind"), RUNS)
def test_an_audit_log_says_of_masks_where_there_are_any(
    chosen: dict[str, Scalar], kind: type[Mode]
) -> None:
    said = {"masks": "yes"} if kind is Masked else {}
    assert RunConfig.parse(chosen).audit_facts == said
    assert RunConfig.parse({**chosen, "without": "a,b"}).audit_facts == {**said, "without": "a,b"}
