from dataclasses import replace

from consortium.charter.document import Charter, Floors
from consortium.config import RunConfig, Scalar
from consortium.protocol.parameters import (
    count_placement,
    descriptor,
    optimizer_for,
    seal_parameters,
    step_of,
    update_placement,
    upload_header,
)
from consortium.protocol.run_state import UpdateStep
from privacy.layout import Field, Layout
from privacy.protocol.envelope import TRAINING, Slot, UploadLabel
from scenarios.library.registry import SCENARIOS
from tests.small_consortium import configured

LAYOUT = Layout(fields=(Field("weight", (3, 5)), Field("bias", (3,))))
CHARTER = SCENARIOS["bank-credit"].charter


def update_step(config: RunConfig, charter: Charter) -> UpdateStep:
    step = step_of(config, charter, LAYOUT)
    assert isinstance(step, UpdateStep)
    return step


def floored(**floors: float | bool) -> Charter:
    return CHARTER.model_copy(update={"floors": Floors.model_validate(floors)})


CHANGES: tuple[dict[str, Scalar], ...] = (
    {"local-epochs": 2},
    {"num-server-rounds": 4},
    {"parameter-set": "strict-256"},
    {"seed": 8},
    {"rule.clip-norm": 3.0},
    {"server-optimizer.learning-rate": 0.5},
    {"deadline-s": 9.0},
)


def described_by(config: RunConfig, charter: Charter = CHARTER, layout: Layout = LAYOUT) -> bytes:
    return descriptor(config=config.digest, charter=charter.fingerprint, layout=layout.digest)


def test_the_descriptor_says_config_charter_and_layout() -> None:
    """Whatever a coordinator changes of any of them, the run was not opened for that."""
    config = configured({})
    described = {
        described_by(config),
        *(described_by(configured(change)) for change in CHANGES),
        described_by(config, charter=floored(min_others=3)),
        described_by(config, layout=Layout(fields=LAYOUT.fields[:1])),
    }
    assert len(described) == 3 + len(CHANGES)
    assert {len(one) for one in described} == {32}
    assert described_by(RunConfig.parse(config.flat())) in described


def test_placements_hold_an_update_or_a_tally_for_all_members() -> None:
    config = configured({})
    assert update_placement(config, CHARTER, LAYOUT, 2).dim == LAYOUT.dim
    assert update_placement(config, CHARTER, LAYOUT, 2).tally_size == 0
    assert count_placement(config, CHARTER, 9).tally_size == 9
    assert count_placement(config, CHARTER, 9).dim == 0
    assert seal_parameters(config, CHARTER).num_sites == len(CHARTER.names)


def test_a_header_says_how_the_ciphertexts_of_an_upload_are_laid_out() -> None:
    config = configured({"parameter-set": "strict-256"})
    placement = update_placement(config, CHARTER, LAYOUT, 2)
    slot = Slot(run="run-1", purpose=TRAINING, server_round=1, attempt=1)
    label = UploadLabel(
        slot=slot, site="east", bucket=0, weight_class=1, nonce=bytes(32), state=bytes(32)
    )
    header = upload_header(label, config, LAYOUT, placement)
    assert header.parameter_set == "strict-256"
    assert header.layout == bytes.fromhex(LAYOUT.digest)
    assert header.blocks == placement.num_ciphertexts
    assert header.label is label


def test_the_step_is_what_config_and_charter_say() -> None:
    charter = floored(smallest_scale=1e-3, largest_scale=5.0)
    step = update_step(configured({"first-scale": 0.25}), charter)
    assert step.scale_bounds == (1e-3, 5.0)
    assert step.clip_norm is None
    assert step.lengths == (15, 3)
    robust = configured(
        {
            "buckets": 1,
            "rule.name": "mean",
            "server-optimizer.name": "adam",
            "server-optimizer.learning-rate": 0.125,
        }
    )
    assert len(update_step(robust, charter).optimizer.init(4)) > 0
    assert optimizer_for(robust).init(4)[0].shape == (4,)


def test_with_buckets_each_mean_is_clipped_to_the_runs_norm() -> None:
    names = [f"site-{index:02}" for index in range(9)]
    members = tuple(CHARTER.members[0].model_copy(update={"name": name}) for name in names)
    charter = CHARTER.model_copy(update={"members": members})
    config = configured(
        {
            "buckets": 3,
            "weighting": "equal",
            "rule.name": "coordinate-median",
            "rule.num-byzantine": 1,
            "rule.clip-norm": 0.75,
        }
    )
    step = update_step(config, charter)
    assert step.clip_norm == 0.75
    assert replace(step, clip_norm=None).clip_norm is None
