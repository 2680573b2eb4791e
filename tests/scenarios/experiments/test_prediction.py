"""A user's own table, scored with the model of a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.model.files import BadModel, read_model
from consortium.run.directory import RunDirectory
from consortium.site.directory import read_site_config
from consortium.site.site import records_of
from privacy.errors import ConsortiumError
from scenarios.experiments.prediction import predictions
from sites.data.source import TableFile
from tests.scenarios.conftest import Done, done


@pytest.fixture
def table(heart: Done) -> pd.DataFrame:
    """New patients, without a diagnosis."""
    frame = pd.read_parquet(heart.run.site("cleveland") / "data.parquet").head(40)
    return frame.drop(columns=["disease", "severity", "hospital"])


def score(run: RunDirectory, table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    path = folder / "own.csv"
    table.to_csv(path, index=False)
    return predictions(run, TableFile(path=path))


def test_the_score_of_a_row_does_not_depend_on_the_other_rows(
    heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Rows keep their order, and no row changes the score of another.

    Scores may differ by rounding: the processor may use other instructions for the last rows of a
    table than for those in its middle.
    """
    order = np.random.default_rng(7).permutation(len(table))
    straight = score(heart.run, table, tmp_path)
    shuffled = score(heart.run, table.iloc[order], tmp_path)
    assert list(straight["row"]) == list(range(1, len(table) + 1))
    moved = straight.iloc[order].reset_index(drop=True)
    assert list(shuffled["predicted"]) == list(moved["predicted"])
    assert list(shuffled["probability_yes"]) == pytest.approx(list(moved["probability_yes"]))
    alone = score(heart.run, table.iloc[[3]], tmp_path)
    assert alone["probability_yes"][0] == pytest.approx(straight["probability_yes"][3])


def test_predictions_equal_the_scores_of_the_evaluation(heart: Done) -> None:
    model = read_model(heart.run.model)
    source = read_site_config(heart.run.site("hungary")).source
    data = records_of(model.task, heart.run.site("hungary"), heart.config)
    judged, _ = model.task.score(data, model.statistics, model.vector)
    told = predictions(heart.run, source)["probability_yes"]
    assert len(told) == data.train_examples + data.held_out_examples
    near = np.abs(told.to_numpy()[None, :] - judged[:, None]).min(axis=1)
    assert near.max() < 1e-6


def test_probabilities_sum_to_one_and_the_largest_is_predicted(
    heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    frame = score(heart.run, table, tmp_path)
    told = ["predicted", "probability_no", "probability_yes"]
    assert list(frame.columns) == ["row", "patient", *told]
    np.testing.assert_allclose(frame["probability_no"] + frame["probability_yes"], 1.0)
    larger = np.where(frame["probability_yes"] > frame["probability_no"], "yes", "no")
    assert list(frame["predicted"]) == list(larger)


def test_every_class_has_a_probability_column(tmp_path: Path) -> None:
    over = done("heart-severity", tmp_path, {"num-server-rounds": 1})
    source = read_site_config(over.run.site("cleveland")).source
    frame = predictions(over.run, source)
    shares = frame[[f"probability_{grade}" for grade in range(5)]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    assert list(frame["predicted"]) == [str(grade) for grade in shares.argmax(axis=1)]


def test_missing_measurements_may_be_empty(
    heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    frame = score(heart.run, table.assign(cholesterol=np.nan), tmp_path)
    assert frame["probability_yes"].between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sex": "unknown"}, "sex"),
        ({"age": "sixty"}, "age"),
        ({"age": 999.0}, "age"),
        ({"age": np.inf}, "age"),
        ({"age": np.nan}, "age"),
    ],
)
def test_a_value_outside_the_schema_is_refused_with_its_column(
    change: dict[str, str | float], said: str, heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ConsortiumError, match=said):
        score(heart.run, table.assign(**change), tmp_path)


def test_a_missing_column_is_named(heart: Done, table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConsortiumError, match="thallium"):
        score(heart.run, table.drop(columns=["thallium"]), tmp_path)


def test_a_wrong_separator_is_distinguished_from_missing_columns(
    heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "own.csv"
    table.to_csv(path, index=False, sep=";")
    with pytest.raises(ConsortiumError, match="separat"):
        predictions(heart.run, TableFile(path=path))
    told = predictions(heart.run, TableFile(path=path, separator=";"))
    assert len(told) == len(table)


def test_columns_that_the_model_does_not_use_are_ignored(
    heart: Done, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A user's table may have more columns than the model needs."""
    plain = score(heart.run, table, tmp_path)
    more = score(heart.run, table.assign(room=7, disease="yes"), tmp_path)
    assert list(more["probability_yes"]) == list(plain["probability_yes"])


def test_a_run_without_a_model_predicts_nothing(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="holds no trained model"):
        score(RunDirectory(tmp_path), table, tmp_path)
