"""A trained model with the interface of scikit-learn, for its metrics and its inspection."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from consortium.cli.options import parse_data_source
from consortium.model.files import TrainedModel
from privacy.errors import ConsortiumError, number_of
from scenarios.api.frames import BadFrame, frame_source
from scenarios.experiments.prediction import class_shares, prediction_table
from sites.data.source import DataSource, with_words
from sites.schema.tables import ClassLabel, Schema


class TrainedBySites(ConsortiumError, TypeError, code="trained-by-sites"):
    """A model of a consortium was to be fitted to records in one place."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model of a number or of a risk, as scikit-learn calls a regressor.

    It needs neither scikit-learn nor a person's name in the records. Records are a DataFrame with
    the features of the schema, or an array with a column for each, in `feature_names_in_`'s order.

    Args:
        trained: The model as a run wrote it.
    """

    trained: TrainedModel

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """The columns that it reads, shape (n_features,); of texts, that of the text."""
        schema = self.trained.charter.table
        if isinstance(schema, Schema):
            return np.array([item.name for item in schema.features], dtype=object)
        return np.array(schema.columns[:1], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """The number of columns that it reads."""
        return len(self.feature_names_in_)

    def predict(self, X: pd.DataFrame | ArrayLike) -> NDArray[Any]:
        """Return a prediction for each record, shape (n,).

        Raises:
            BadFrame: The records are no table, or have another number of columns.
            ConsortiumError: They do not fit the schema.
        """
        return self.scores(X)

    def scores(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.float64]:
        """Return what the model says of each record as it stands, shape (n,) or (n, n_classes)."""
        with frame_source(self._frame(X)) as source:
            return self.trained.predict(source)

    def predictions(
        self, data: pd.DataFrame | str | Path, words: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Return the table that `scenario predict` writes, for a DataFrame, a file or url::query.

        Args:
            data: The records, without labels.
            words: How they are to be read, such as `decimal:comma`.

        Raises:
            ConsortiumError: The records cannot be read, or do not fit the schema.
        """
        with _source_of(data) as source:
            return prediction_table(self.trained, with_words(source, words) if words else source)

    def fit(self, X: object, y: object = None) -> NoReturn:
        """Refuse: the sites train. It is here because scikit-learn looks whether it is.

        Raises:
            TrainedBySites: Always.
        """
        raise TrainedBySites(
            "a model of a consortium is trained by its sites: use consortium.simulate"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 -- a type of scikit-learn, which asks for it
        from sklearn.utils import RegressorTags  # whoever asks has scikit-learn

        return _tags("regressor", regressor_tags=RegressorTags())

    def _frame(self, records: pd.DataFrame | ArrayLike) -> pd.DataFrame:
        if isinstance(records, pd.DataFrame):
            return records
        cells = np.asarray(records, dtype=object)
        if cells.ndim != 2 or cells.shape[1] != self.n_features_in_:
            raise BadFrame(
                f"the model reads {number_of(self.n_features_in_, 'column')}, and the array has "
                f"the shape {cells.shape}: its columns are {', '.join(self.feature_names_in_)}"
            )
        return pd.DataFrame(cells, columns=self.feature_names_in_)


@dataclass(frozen=True, eq=False)
class Classifier(Model):
    """A trained model of classes."""

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The classes in the order of their probabilities, shape (n_classes,)."""
        label = self.trained.charter.table.label
        return np.array(label.classes if isinstance(label, ClassLabel) else ())

    def predict_proba(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class for each record, shape (n, n_classes)."""
        return class_shares(self.scores(X))

    def predict(self, X: pd.DataFrame | ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each record, shape (n,)."""
        best: NDArray[np.int64] = self.predict_proba(X).argmax(axis=1)
        return np.take(self.classes_, best)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 -- as above
        from sklearn.utils import ClassifierTags  # whoever asks has scikit-learn

        return _tags("classifier", classifier_tags=ClassifierTags())


def model_of(trained: TrainedModel) -> Model:
    """Return a trained model with the interface that its label asks for."""
    classes = isinstance(trained.charter.table.label, ClassLabel)
    return Classifier(trained) if classes else Model(trained)


def _source_of(data: pd.DataFrame | str | Path) -> AbstractContextManager[DataSource]:
    if isinstance(data, pd.DataFrame):
        return frame_source(data)
    return nullcontext(parse_data_source(str(data)))


def _tags(kind: str, **tags: object) -> Any:  # noqa: ANN401 -- a type of scikit-learn
    from sklearn.utils import InputTags, Tags, TargetTags

    return Tags(
        estimator_type=kind,
        target_tags=TargetTags(required=False),
        input_tags=InputTags(categorical=True, string=True, allow_nan=True),
        **tags,
    )
