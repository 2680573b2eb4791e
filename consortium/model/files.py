"""Write and read trained models: the files a site keeps, and the export for other programs."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.model.card import RunOutcome, Subject, model_card
from consortium.protocol.learning import learner_of
from consortium.run.records import write_record
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site, model_plan
from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally, Vector
from privacy.storage.secret_files import make_private_directory
from sites.data.source import DataSource
from sites.learner import Learner, WritesFiles
from sites.plans import Predictions
from sites.schema.tables import Schema
from sites.task import Explains, Exportable, SiteData, Task
from sites.tasks.registry import task_for
from sites.tasks.tabular.task import TabularTask
from sites.tasks.text.misclassified import ShowsMistakes

CARD = "README.md"
RESULTS = "results.json"
ONNX = "model.onnx"

_VECTOR = "federated-vector"


class BadModel(ConsortiumError, ValueError, code="bad-model"):
    """A directory does not hold a model written by a run."""


class FolderInUse(ConsortiumError, FileExistsError, code="folder-in-use"):
    """The directory for an exported model is not empty."""


class ModelDescription(BaseModel):
    """`model.json`: everything needed to use the model, except its parameters."""

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
        task: The task.
        statistics: The pooled statistics that its normalisation constants come from.
        vector: The federated vector, shape (dim,).
        charter: The members' charter.
        config: The run config of its training.
    """

    task: Task[SiteData]
    statistics: Tally
    vector: Vector
    charter: Charter
    config: RunConfig

    @property
    def subject(self) -> Subject:
        """The model as its card describes it."""
        layout = self.task.layout
        return Subject(
            charter=self.charter,
            config=self.config,
            statistics=self.statistics,
            digest=layout.digest_of(self.vector),
            start=layout.start,
            linear_sums=(
                self.task.linear_sums(self.vector, self.statistics)
                if isinstance(self.task, TabularTask)
                else ()
            ),
            results=learner_of(self.charter, self.config).results(self.vector, self.statistics),
        )

    def predict(self, source: DataSource) -> Predictions:
        """Return predictions for records without labels, row by row."""
        return self.task.predict(source, self.statistics, self.vector)

    def explain(self, source: DataSource) -> Mapping[str, NDArray[Any]]:
        """Return what the model says of each record beside its prediction, by column."""
        return self.task.explain(source, self.vector) if isinstance(self.task, Explains) else {}


def write_model(site: Site, statistics: Tally, vector: Vector, folder: Path | None = None) -> Path:
    """Write the model into a folder, the site's `model/` if none is named; return the folder."""
    folder = folder or SiteDirectory(site.directory).model
    folder.mkdir(exist_ok=True)
    _write_parameters(site.task, vector, folder, merged=False)
    save_file({_VECTOR: vector.astype(np.float32)}, folder / "federated.safetensors")
    description = ModelDescription(
        charter=site.charter,
        config=site.run_config.flat(),
        layout_digest=site.task.layout.digest,
        statistics=[int(entry) for entry in statistics],
    )
    write_record(folder / "model.json", description)
    learner = learner_of(site.charter, site.run_config)
    _write_files(learner, vector, statistics, folder)
    _write_results(learner, vector, statistics, folder)
    if isinstance(site.task, Exportable):
        model = TrainedModel(
            task=site.task,
            statistics=statistics,
            vector=vector,
            charter=site.charter,
            config=site.run_config,
        )
        (folder / CARD).write_text(model_card(model.subject, None), encoding="utf-8")
    return folder


def export_model(
    model: TrainedModel,
    folder: Path,
    outcome: RunOutcome | None,
    *,
    merged: bool = True,
    onnx: bool = False,
) -> None:
    """Write a model for other programs, with its card.

    An encoder is written for `transformers` with its adapters merged or, if `merged` is false, for
    `peft`. A model of a table is written as named arrays, and as the files that its learner has
    for other programs.

    Args:
        model: The trained model.
        folder: A directory that is empty or does not exist yet.
        outcome: What the model's run came to, for the card.
        merged: Whether to write a complete encoder, or only the trained parameters.
        onnx: Whether to write `model.onnx`, too, which reads the columns of a table as they are.

    Raises:
        FolderInUse: The directory is not empty; nothing is overwritten.
        NoOnnx: The model has no such file; nothing is written.
        MissingLibrary: The library is not installed; nothing is written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FolderInUse(f"{folder} is not empty: name another directory for the model")
    as_onnx = _onnx_of(model, outcome) if onnx else b""
    folder.mkdir(parents=True, exist_ok=True)
    if as_onnx:
        (folder / ONNX).write_bytes(as_onnx)
    _write_parameters(model.task, model.vector, folder, merged=merged)
    learner = learner_of(model.charter, model.config)
    _write_files(learner, model.vector, model.statistics, folder)
    _write_results(learner, model.vector, model.statistics, folder)
    (folder / CARD).write_text(model_card(model.subject, outcome), encoding="utf-8")


def _onnx_of(model: TrainedModel, outcome: RunOutcome | None) -> bytes:
    # They read how cells are spelt, which needs pandas; sites keep models without it.
    from consortium.model.onnx_file import model_facts, onnx_bytes
    from sites.graphs.kinds.registry import NoOnnx, graph_of

    table = model.charter.table
    if not isinstance(table, Schema):
        raise NoOnnx(f"{table.name} has texts: transformers loads their model. Leave --onnx out")
    graph = graph_of(model.task, model.statistics, model.vector)
    return onnx_bytes(graph, model_facts(model.subject, table, outcome))


def _write_parameters(task: Task[SiteData], vector: Vector, folder: Path, *, merged: bool) -> None:
    if isinstance(task, Exportable):
        task.write(vector, folder, merged=merged)
        return
    arrays = {name: np.ascontiguousarray(array) for name, array in task.parameters(vector).items()}
    save_file(arrays, folder / "model.safetensors")


def _write_files(learner: Learner, vector: Vector, statistics: Tally, folder: Path) -> None:
    if isinstance(learner, WritesFiles):
        for name, content in learner.files(vector, statistics).items():
            (folder / name).write_bytes(content)


def _write_results(learner: Learner, vector: Vector, statistics: Tally, folder: Path) -> None:
    found = learner.results(vector, statistics)
    if found:
        (folder / RESULTS).write_text(json.dumps(found, indent=1), encoding="utf-8")


def read_model(folder: Path) -> TrainedModel:
    """Read a model that a run wrote.

    Raises:
        BadModel: The folder holds no model, or its parameters have another layout.
    """
    description, vector = _read_parameters(folder)
    config = RunConfig.parse(description.config)
    task = task_for(
        description.charter.task,
        description.charter.table,
        model_plan(config, description.charter.table),
        seed=config.seed,
        learning=config.learning_with(description.charter.names),
        counting=config.counting,
    )
    if task.layout.digest != description.layout_digest or vector.shape != (task.layout.dim,):
        raise BadModel(f"the parameters in {folder} do not match the model in its model.json")
    return TrainedModel(
        task=task,
        statistics=np.array(description.statistics, np.int64),
        vector=vector,
        charter=description.charter,
        config=config,
    )


def read_results(folder: Path) -> Mapping[str, Any]:
    """Return what the state of a run says, as plain JSON values.

    Raises:
        BadModel: The folder holds no results: its learner has none, or no run ended there.
    """
    try:
        found: Mapping[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadModel(f"{folder} holds no results that can be read: {error}") from error
    return found


@dataclass(frozen=True, kw_only=True)
class ConfirmedModel:
    """What a site's model is made of.

    Args:
        statistics: The pooled statistics of its training.
        vector: The federated vector, shape (dim,), float32 numbers.
    """

    statistics: Tally
    vector: Vector


def read_confirmed(directory: Path, charter: str, layout: Layout) -> ConfirmedModel | None:
    """Return the model in a site's `model/`, or None.

    Args:
        directory: Of the site.
        charter: Fingerprint of the charter under which it must have been trained.
        layout: The layout that it must have.

    Raises:
        BadModel: The folder holds something that cannot be read.
    """
    folder = SiteDirectory(directory).model
    if not folder.exists():
        return None
    description, vector = _read_parameters(folder)
    if (description.charter.fingerprint, description.layout_digest) != (charter, layout.digest):
        return None
    return ConfirmedModel(statistics=np.array(description.statistics, np.int64), vector=vector)


def _read_parameters(folder: Path) -> tuple[ModelDescription, Vector]:
    try:
        description = ModelDescription.model_validate_json((folder / "model.json").read_bytes())
        vector = load_file(folder / "federated.safetensors")[_VECTOR].astype(np.float64)
    except (OSError, ValidationError, SafetensorError, KeyError) as error:
        raise BadModel(f"{folder} holds no trained model that can be read: {error}") from error
    return description, vector


def write_mistakes(site: Site, statistics: Tally, vector: Vector, path: Path | None = None) -> None:
    """Write the final model's mistakes to a file at the site, if its policy asks for them.

    Guarantee: unless the policy sets `mistakes_kept`, there is no such file, not even from an
    earlier run. Only the owner can ever read it, and it is whole or absent.

    Args:
        site: The site.
        statistics: The pooled statistics of the model.
        vector: The model.
        path: A file beside the site's own, for a model that is not confirmed.

    Raises:
        ExposedSecret: The file's directory is readable to others.
    """
    last = SiteDirectory(site.directory).mistakes
    path = path or last
    most = site.policy.mistakes_kept
    if not most or not isinstance(site.task, ShowsMistakes):
        last.unlink(missing_ok=True)
        return
    found = site.task.mistakes(site.data, statistics, vector, at_most=most)
    make_private_directory(path.parent)
    partial = path.with_name(f".{path.stem}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    partial.replace(path)
