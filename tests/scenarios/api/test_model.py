"""The model of a run is one that scikit-learn's metrics and inspection take."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

import consortium as c
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from scenarios.api.model import Classifier, TrainedBySites, model_of
from scenarios.experiments.prediction import predictions
from sites.data.source import TableFile


@pytest.fixture(scope="module")
def model(run: c.Run) -> Classifier:
    found = run.model
    assert isinstance(found, Classifier)
    return found


@pytest.fixture(scope="module")
def new(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return frames["ward-b"].drop(columns=["patient", "readmitted"]).astype({"age": float})


def test_predictions_are_those_of_the_command(
    run: c.Run, model: Classifier, new: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("new") / "new.csv"
    new.to_csv(path, index=False)
    told = predictions(RunDirectory(run.path), TableFile(path=path))
    pd.testing.assert_frame_equal(model.predictions(new), told)
    pd.testing.assert_frame_equal(model.predictions(path), told)
    assert list(model.predict(new)) == list(told["predicted"])
    named = told[[f"probability_{name}" for name in model.classes_]].to_numpy()
    np.testing.assert_array_equal(model.predict_proba(new), named)


def test_an_array_has_the_columns_in_the_order_of_the_names(
    model: Classifier, new: pd.DataFrame
) -> None:
    assert list(model.feature_names_in_) == ["age", "haemoglobin", "admitted"]
    assert model.n_features_in_ == 3
    array = new[list(model.feature_names_in_)].to_numpy(dtype=object)
    np.testing.assert_array_equal(model.predict_proba(array), model.predict_proba(new))
    with pytest.raises(c.ConsortiumError, match=r"reads 3 columns.*\(60, 2\)"):
        model.predict(array[:, :2])


def test_scikit_learn_scores_and_inspects_it(
    model: Classifier, new: pd.DataFrame, frames: dict[str, pd.DataFrame]
) -> None:
    check_is_fitted(model)
    assert is_classifier(model)
    truth = frames["ward-b"]["readmitted"]
    assert 0.5 < get_scorer("roc_auc")(model, new, truth) <= 1
    assert get_scorer("accuracy")(model, new, truth) == (model.predict(new) == truth).mean()
    found = permutation_importance(
        model, new, truth, scoring="roc_auc", n_repeats=2, random_state=7
    )
    assert found["importances_mean"].argmax() == 0
    told = partial_dependence(model, new, ["age"], grid_resolution=3)["average"][0]
    assert list(told) == sorted(told)


def test_a_model_in_one_place_is_not_fitted(model: Classifier, new: pd.DataFrame) -> None:
    with pytest.raises(TrainedBySites, match="trained by its sites"):
        model.fit(new)


def test_cells_that_break_the_schema_are_refused_as_in_a_file(
    model: Classifier, new: pd.DataFrame
) -> None:
    with pytest.raises(c.ConsortiumError, match="age: expected a number from 0 to 120"):
        model.predict(new.assign(age=200.0))


def test_a_model_of_a_number_is_a_regressor(
    frames: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = c.Schema(
        name="stays",
        person="patient",
        features=(c.Number(name="age", low=0, high=120),),
        label=c.NumberLabel(column="haemoglobin", low=2, high=25),
    )
    whole = {name: frame.dropna() for name, frame in frames.items()}
    out = tmp_path_factory.mktemp("stays") / "run"
    run = c.simulate(schema, whole, rounds=1, config={"model": "linear"}, out=out)
    model = model_of(read_model(run.path / "model"))
    assert is_regressor(model)
    assert not hasattr(model, "predict_proba")
    told = model.predict(whole["ward-a"])
    assert told.shape == (len(whole["ward-a"]),)
    assert list(model.predictions(whole["ward-a"])["haemoglobin"]) == list(told)
