import pytest

from sites.plans import BadPrivacyPlan, PrivacyPlan


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_multiplier": 0.0},
        {"noise_multiplier": float("nan")},
        {"clip_norm": 0.0},
        {"sampling_rate": 0.0},
        {"sampling_rate": 1.1},
        {"steps": 0},
        {"max_records_per_person": 0},
        {"rows_at_once": 0},
    ],
)
def test_a_value_out_of_range_is_refused_by_name(wrong: dict[str, float]) -> None:
    right = {"noise_multiplier": 1.0, "clip_norm": 1.0, "sampling_rate": 0.5, "steps": 1}
    with pytest.raises(BadPrivacyPlan, match=next(iter(wrong))):
        PrivacyPlan(**{**right, **wrong})  # type: ignore[arg-type]
