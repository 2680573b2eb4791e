import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.config import KEYS, BadConfig, RunConfig, Scalar

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


def flattened(nested: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def test_the_project_file_lists_every_key_with_its_default_and_no_other() -> None:
    assert flattened(PROJECT["tool"]["flwr"]["app"]["config"]) == dict(KEYS)


def test_the_bundle_holds_the_runtime_packages_only() -> None:
    included = PROJECT["tool"]["flwr"]["app"]["fab-include"]
    assert {pattern.split("/")[0] for pattern in included} == {
        "consortium",
        "sites",
        "strategies",
        "privacy",
    }


@given(
    rounds=st.integers(1, 1000),
    rate=st.floats(1e-6, 10.0),
    mode=st.sampled_from(["clear", "encrypted"]),
    seed=st.integers(0, 2**63 - 1),
)
def test_flat_is_the_inverse_of_parse(rounds: int, rate: float, mode: str, seed: int) -> None:
    chosen: dict[str, Scalar] = {
        "num-server-rounds": rounds,
        "learning-rate": rate,
        "aggregation": mode,
        "seed": seed,
    }
    config = RunConfig.parse(chosen)
    assert RunConfig.parse(config.flat()) == config
    assert {key: config.flat()[key] for key in chosen} == chosen
    assert RunConfig.parse(config.flat()).digest == config.digest


@pytest.mark.parametrize("key", KEYS)
def test_a_misspelt_key_is_refused_with_the_nearest_one(key: str) -> None:
    with pytest.raises(BadConfig, match=f"did you mean '{key}'"):
        RunConfig.parse({f"{key}x": 1})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("learning-rate", -1.0, "greater than 0, got -1.0"),
        ("learning-rate", float("nan"), "finite number"),
        ("deadline-s", float("inf"), "finite number"),
        ("quorum", 0, "greater than or equal to 1, got 0"),
        ("model", "forest", "'logistic', 'linear' or 'mlp', got 'forest'"),
        ("fraction", 1.5, "less than or equal to 1"),
        ("rule.num-byzantine", -1, "greater than or equal to 0"),
        ("server-optimizer.beta1", 1.0, "less than 1"),
        ("aggregation", "secret", "'clear' or 'encrypted'"),
        ("seed", "x", "valid integer"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_the_range_and_what_came(
    key: str, value: Scalar, said: str
) -> None:
    with pytest.raises(BadConfig, match=said) as refused:
        RunConfig.parse({key: value})
    assert str(refused.value).startswith(f"{key}: ")


@pytest.mark.parametrize(
    "contradiction",
    [
        {"rule.num-byzantine": 1, "weighting": "examples"},
        {"aggregation": "encrypted", "weighting": "examples"},
    ],
)
def test_contradictions_cannot_be_built(contradiction: dict[str, Scalar]) -> None:
    with pytest.raises(BadConfig, match="set weighting to classes or equal"):
        RunConfig.parse(contradiction)
