"""Five clinics, ten diagnoses, 128 markers: what the generator promises, and what is learnt."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report
from typer.testing import CliRunner

from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.site.site import records_of
from scenarios.cli.main import app
from scenarios.data.synthetic_clinics import (
    CLINICS,
    DIAGNOSES,
    HIDDEN,
    MARKERS,
    NOISE,
    OFFSET,
    SPREAD,
    clinic_of,
    clinic_patients,
)
from scenarios.library.five_clinics import SCENARIO
from sites.schema.tables import Number
from tests.scenarios.conftest import done


def test_the_records_are_what_the_generator_says() -> None:
    patients = clinic_patients()
    assert patients["patient"].is_unique
    assert clinic_of(patients).value_counts().to_dict() == dict(CLINICS)
    assert set(patients["diagnosis"]) == set(DIAGNOSES)
    markers = patients[list(MARKERS)]
    assert len(MARKERS) == 128
    # What 20 centres in 12 quantities leave: the mean of the variances is within a fifth.
    expected = SPREAD**2 + 1 + NOISE**2 + OFFSET**2
    assert markers.var().mean() == pytest.approx(expected, rel=0.2)
    assert abs(markers.mean().mean()) < SPREAD / HIDDEN
    # Beside the 12 hidden quantities there are only small offsets and noise.
    spectrum = np.linalg.eigvalsh(np.cov(markers.to_numpy().T))[::-1]
    assert spectrum[HIDDEN - 1] > 5 * spectrum[HIDDEN]


def test_every_record_fits_the_schema_and_is_called_synthetic() -> None:
    patients = clinic_patients()
    for feature in SCENARIO.columns.features:
        assert isinstance(feature, Number)
        assert patients[feature.name].between(feature.low, feature.high).all()
    assert "SYNTHETIC" in SCENARIO.story


def test_a_run_ends_with_the_class_report_of_its_pooled_predictions(tmp_path: Path) -> None:
    """As scikit-learn would print it, had the records of all clinics been in one place."""
    out = tmp_path / "run"
    words = ["run", SCENARIO.name, "--set", "num-server-rounds=2", "--out", str(out)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    printed = [line.split() for line in ended.output.splitlines()]
    assert "The records of all clinics are SYNTHETIC" in " ".join(ended.output.split())

    trained, config = read_model(out / "model"), SCENARIO.config_with({})
    parts = [
        records_of(trained.task, RunDirectory(out).site(name), config) for name in SCENARIO.sites
    ]
    scored = [trained.task.score(one, trained.statistics, trained.vector) for one in parts]
    shares, labels = (np.concatenate([one[at] for one in scored]) for at in (0, 1))
    theirs = classification_report(
        labels,
        shares.argmax(axis=1),
        target_names=DIAGNOSES,
        output_dict=True,
        zero_division=0,
    )
    rows = {**{name: name for name in DIAGNOSES}, "macro avg": "(macro)", "weighted avg": "records"}
    for name, mark in rows.items():
        one = theirs[name]
        figures = [f"{one[key]:.4f}" for key in ("precision", "recall", "f1-score")]
        expected = [mark, *figures, f"{one['support']:,.0f}"]
        never = [mark, "none", *figures[1:], expected[-1]]  # a class that is never predicted
        assert any(line[-5:] in (expected, never) for line in printed), expected
    accuracy = f"{theirs['accuracy']:.4f}"
    assert any(line[-5:-1] == ["(micro)", *[accuracy] * 3] for line in printed)


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_ten_diagnoses_are_told_apart(aggregation: str, tmp_path: Path) -> None:
    """The founding text reaches an F1 of 0.93 in this shape."""
    metrics = done(SCENARIO.name, tmp_path, {"aggregation": aggregation}).summary.metrics
    assert metrics is not None
    assert metrics["macro_f1"].value >= 0.93
