import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consortium.config import RunConfig, Scalar
from consortium.differential_privacy import DifferentiallyPrivate, NotPrivate
from privacy.policy.run_request import AskedPrivacy
from sites.plans import PrivacyPlan
from tests.consortium.staged import ward

ROOT = Path(__file__).parents[2]
TYPE = "consortium/differential_privacy.py"
AT_A_SITE = "consortium/client/private_training.py"
KINDS = {NotPrivate.__name__, DifferentiallyPrivate.__name__}

PERSON: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 2.0, "dp.delta": 1e-6}
RECORD: dict[str, Scalar] = {"dp.unit": "record", "dp.noise-multiplier": 1.5}


def test_each_kind_says_what_a_log_a_policy_and_a_ledger_are_told() -> None:
    told = [RunConfig.parse(chosen).privacy for chosen in ({}, PERSON, RECORD)]
    assert [one.label for one in told] == ["off", "person", "record"]
    assert [one.policy_unit for one in told] == ["record", "person", "record"]
    assert [one.offered for one in told] == [
        None,
        AskedPrivacy(unit="person", epsilon=2.0, delta=1e-6),
        AskedPrivacy(unit="record", epsilon=None, delta=None),
    ]


def test_each_kind_says_what_people_read() -> None:
    none, person, record = (RunConfig.parse(chosen).privacy for chosen in ({}, PERSON, RECORD))
    assert none.facts == ()
    assert ("Who is protected", "person") in person.facts
    assert ("Delta of epsilon", "1e-06") in person.facts
    own = RunConfig.parse({"dp.unit": "person", "dp.epsilon": 2.0}).privacy
    assert "above the number of its persons" in dict(own.facts)["Delta of epsilon"]
    assert "Delta of epsilon" not in dict(record.facts)
    assert "was not private" in none.lead("patients", "hospital")
    assert "private for patients: epsilon 2 over" in person.lead("patients", "hospital")
    assert "private for single records: noise of 1.5 times" in record.lead("patients", "hospital")
    assert none.card.startswith("Without differential privacy")
    assert person.card.startswith("Differentially private by person: epsilon 2 for all rounds")
    assert "noise multiplier 1.5 for all rounds" in record.card


def test_training_records_are_counted_only_where_nothing_is_promised(tmp_path: Path) -> None:
    at = ward(tmp_path)
    task, data = at.site.task, at.site.data
    counted = NotPrivate().statistics(task, data)
    np.testing.assert_array_equal(counted, task.statistics_of(data))
    assert counted.any()
    hidden = RunConfig.parse(PERSON).privacy.statistics(task, data)
    assert (hidden.shape, hidden.dtype) == (counted.shape, counted.dtype)
    assert not hidden.any()


def test_a_site_trains_by_the_keys_and_by_the_noise_it_found() -> None:
    keys: dict[str, Scalar] = {**PERSON, "dp.steps": 3, "dp.clip-norm": 0.5}
    privacy = RunConfig.parse({**keys, "dp.sampling-rate": 0.1}).privacy
    assert isinstance(privacy, DifferentiallyPrivate)
    assert privacy.plan(noise_multiplier=1.25, cap_seed=7) == PrivacyPlan(
        unit="person",
        noise_multiplier=1.25,
        clip_norm=0.5,
        sampling_rate=0.1,
        steps=3,
        max_records_per_person=16,
        cap_seed=7,
    )


def asked_about(source: str) -> Iterator[str]:
    """Yield each place of a program that asks whether a run is private, or which kind it is."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare():
                within = [node.left, *node.comparators]
            case ast.MatchValue(value=value):
                within = [value]
            case ast.MatchClass(cls=kind):
                within = [kind]
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                within = [kinds]
            case ast.Attribute(attr="on", value=value) if _is_dp(value):
                yield ast.unparse(node)
                continue
            case _:
                continue
        if any(_names_privacy(part) for one in within for part in ast.walk(one)):
            yield ast.unparse(node)


def _names_privacy(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value="off" | "dp.unit"):
            return True
        case ast.Attribute(attr="unit", value=value):
            return _is_dp(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in KINDS
    return False


def _is_dp(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "dp"
    return False


def test_whether_a_run_is_private_is_asked_by_its_type_and_once_at_a_site() -> None:
    packages = ("consortium", "sites", "strategies", "privacy", "scenarios")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): list(asked_about(path.read_text()))
        for path in files
        if any(asked_about(path.read_text()))
    }
    assert set(found) == {TYPE, AT_A_SITE}
    assert len(found[AT_A_SITE]) == len(KINDS)  # one match, a case each


@pytest.mark.parametrize(
    "asked",
    [
        "if config.dp.on: pass",
        "x = dp.unit == 'off'",
        "x = config.dp.unit != other",
        "x = config.get('dp.unit', 'none') == y",
        "x = 'off' in (unit, other)",
        "match unit:\n    case 'off': pass",
        "match config.privacy:\n    case NotPrivate(): pass",
        "x = isinstance(config.privacy, (DifferentiallyPrivate, str))",
        "x = config.privacy == types.NotPrivate()",
    ],
)
def test_every_way_to_ask_would_be_found(asked: str) -> None:
    assert len(list(asked_about(asked))) == 1
    assert not list(
        asked_about("x = policy.unit == 'person'; y = config.privacy.label; z = dp.on_")
    )
