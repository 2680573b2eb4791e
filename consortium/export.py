"""The trained model as files: what a site keeps, and what `predict` reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from consortium.charter import Charter
from consortium.config import RunConfig
from consortium.site import Site, model_plan
from consortium.summary import write_record
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from sites.source import DataSource
from sites.task import Predictions, SiteData, Task
from sites.tasks import task_for

_VECTOR = "federated-vector"


class BadModel(ConsortiumError, ValueError):
    """A directory does not hold a model that a run left."""


class ModelDescription(BaseModel):
    """`model.json`: all that is needed to use the model besides its numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    charter: Charter
    config: dict[str, str | int | float | bool]
    layout_digest: str
    statistics: list[int]


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model, ready to predict.

    Args:
        task: The use case.
        statistics: The pooled statistics its constants come from.
        vector: The federated vector, shape (dim,).
        charter: What the members agreed on.
        config: How it was trained.
    """

    task: Task[SiteData]
    statistics: Tally
    vector: Vector
    charter: Charter
    config: RunConfig

    def predict(self, source: DataSource) -> Predictions:
        """Return predictions for a table without labels, row by row."""
        return self.task.predict(source, self.statistics, self.vector)


def write_model(site: Site, statistics: Tally, vector: Vector) -> Path:
    """Write the model into the site's directory; return its folder."""
    folder = site.directory / "model"
    folder.mkdir(exist_ok=True)
    parameters = {
        name: np.ascontiguousarray(array) for name, array in site.task.parameters(vector).items()
    }
    save_file(parameters, folder / "model.safetensors")
    save_file({_VECTOR: vector.astype(np.float32)}, folder / "federated.safetensors")
    description = ModelDescription(
        charter=site.charter,
        config=site.run_config.flat(),
        layout_digest=site.task.layout.digest,
        statistics=[int(entry) for entry in statistics],
    )
    write_record(folder / "model.json", description)
    return folder


def read_model(folder: Path) -> TrainedModel:
    """Read a model that a run left.

    Raises:
        BadModel: The folder does not hold one, or its numbers are of another layout.
    """
    try:
        description = ModelDescription.model_validate_json((folder / "model.json").read_text())
        vector = load_file(folder / "federated.safetensors")[_VECTOR].astype(np.float64)
    except (OSError, ValidationError, SafetensorError, KeyError) as error:
        raise BadModel(f"{folder} holds no trained model: {error}") from error
    config = RunConfig.parse(description.config)
    task = task_for(
        description.charter.task,
        description.charter.table,
        model_plan(config, description.charter.table),
        seed=config.seed,
    )
    if task.layout.digest != description.layout_digest or vector.shape != (task.layout.dim,):
        raise BadModel(f"{folder} holds numbers of another model than it describes")
    return TrainedModel(
        task=task,
        statistics=np.array(description.statistics, np.int64),
        vector=vector,
        charter=description.charter,
        config=config,
    )
