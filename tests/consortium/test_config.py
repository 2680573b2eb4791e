import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.config import DEFAULTS, KEYS, SETTINGS, BadConfig, RunConfig, Scalar
from consortium.differential_privacy import DifferentiallyPrivate, NotPrivate

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
    """So a bare `flwr run` begins as `consortium run` and `scenario run` do."""
    assert flattened(PROJECT["tool"]["flwr"]["app"]["config"]) == dict(DEFAULTS)


def test_what_begins_now_differs_from_version_0_1_0_in_keys_that_it_did_not_have() -> None:
    """A run config of then names none of them, so its runs go on as they began."""
    began = RunConfig.parse(DEFAULTS)
    differ = {key for key, value in DEFAULTS.items() if value != KEYS[key]}
    assert differ == {"masks", "min-local-steps", "on-finding", "scale-rule", "score-bins"}
    assert not any(SETTINGS[key].declaration.is_first for key in differ)
    assert (began.scale_rule, RunConfig.parse({}).scale_rule) == ("following", "doubling")
    assert (began.score_bins, RunConfig.parse({}).score_bins) == ("following", "equal")
    floors = [one.training.min_local_steps for one in (began, RunConfig.parse({}))]
    assert floors == [20, 0]


def test_the_bundle_holds_the_runtime_packages_only() -> None:
    included = PROJECT["tool"]["flwr"]["app"]["fab-include"]
    assert {pattern.split("/")[0] for pattern in included} == {
        "consortium",
        "sites",
        "strategies",
        "privacy",
    }


def test_the_bundle_names_the_apps() -> None:
    assert PROJECT["tool"]["flwr"]["app"]["components"] == {
        "serverapp": "consortium.server_app:app",
        "clientapp": "consortium.client_app:app",
    }


def scalars(key: str) -> st.SearchStrategy[Scalar]:
    """Good values of a key, its default among them."""
    match KEYS[key]:
        case str(default):
            return st.just(default)
        case bool():
            return st.booleans()
        case int(default):
            return st.integers(default, default + 1)
        case float(default):
            return st.floats(default / 2, default)
    raise TypeError(key)


@given(chosen=st.fixed_dictionaries({}, optional={key: scalars(key) for key in KEYS}))
def test_a_config_that_was_accepted_is_written_and_read_without_loss(
    chosen: dict[str, Scalar],
) -> None:
    """Whatever was chosen shows; whatever was not has its default; nothing else is there."""
    config = RunConfig.parse(chosen)
    assert RunConfig.parse(config.flat()) == config
    assert config.flat() == {**KEYS, **chosen}


@given(key=st.sampled_from(sorted(KEYS)), data=st.data())
def test_every_choice_changes_the_digest(key: str, data: st.DataObject) -> None:
    value = data.draw(scalars(key))
    config = RunConfig.parse({key: value})
    assert (config.digest == RunConfig().digest) == (value == KEYS[key])


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
        ("max-tokens", 7, "greater than or equal to 8"),
        ("without", "north, West", "should match pattern"),
        ("travels", "all", "'lora', 'head', 'top-k' or 'full'"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_the_range_and_what_came(
    key: str, value: Scalar, said: str
) -> None:
    with pytest.raises(BadConfig, match=said) as refused:
        RunConfig.parse({key: value})
    assert str(refused.value).startswith(f"{key}: ")


_NAMES_OF_OTHERS = {
    *("rule.name", "model-name", "distil.file"),
    *("without", "subgroups", "cox.group", "period"),
}


@pytest.mark.parametrize("key", sorted(set(KEYS) - _NAMES_OF_OTHERS))
def test_a_value_of_no_sense_is_refused_under_every_key(key: str) -> None:
    """But for names that only others know: the rules' catalogue, a site its files, a charter."""
    with pytest.raises(BadConfig, match="got 'nonsense'") as refused:
        RunConfig.parse({key: "nonsense"})
    assert str(refused.value).startswith(f"{key}: ")


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadConfig) as refused:
        RunConfig.parse({"quorum": 0, "fraction": 2.0, "rule.clip-norm": -1.0})
    for key in ("quorum: ", "fraction: ", "rule.clip-norm: "):
        assert key in str(refused.value)


def test_a_key_like_no_other_is_refused_with_all_keys() -> None:
    with pytest.raises(BadConfig, match="the keys are aggregation") as refused:
        RunConfig.parse({"@@@@": 1})
    assert "did you mean" not in str(refused.value)


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


def test_under_encryption_most_sites_vouch_for_each_state() -> None:
    with pytest.raises(BadConfig, match=r"fraction above 0\.5"):
        RunConfig.parse({"aggregation": "encrypted", "fraction": 0.5})
    assert RunConfig.parse({"aggregation": "encrypted", "fraction": 0.51}).fraction == 0.51
    assert RunConfig.parse({"aggregation": "clear", "fraction": 0.1}).fraction == 0.1


PRIVATE: dict[str, str | int | float] = {"dp.unit": "person", "dp.epsilon": 3.0}


def test_private_training_is_off_unless_it_is_asked_for() -> None:
    assert RunConfig.parse({}).privacy == NotPrivate()
    private = RunConfig.parse(PRIVATE)
    assert private.privacy == DifferentiallyPrivate("person", private.dp)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dp.epsilon": 0.0}, "either dp.epsilon or dp.noise-multiplier"),
        ({"dp.noise-multiplier": 1.0}, "either dp.epsilon or dp.noise-multiplier"),
        ({"class-balance": "weights"}, "class-balance to none"),
        ({"class-balance": "resample"}, "class-balance to none"),
        ({"weighting": "examples"}, "weighting to classes or equal"),
        ({"dp.sampling-rate": 0.0}, "dp.sampling-rate"),
        ({"dp.clip-norm": 0.0}, "dp.clip-norm"),
        ({"dp.unit": "patient"}, "dp.unit"),
    ],
)
def test_private_training_that_would_not_be_private_is_refused(
    wrong: dict[str, str | int | float], says: str
) -> None:
    with pytest.raises(BadConfig, match=says):
        RunConfig.parse({**PRIVATE, **wrong})


def test_windows_of_a_text_move_on() -> None:
    RunConfig.parse({"max-tokens": 64, "stride": 32})
    with pytest.raises(BadConfig, match="set stride to 32 or less, or raise max-tokens"):
        RunConfig.parse({"max-tokens": 64, "stride": 33})
