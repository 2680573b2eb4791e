"""`consortium export`: a trained model as files that other programs load."""

from pathlib import Path

import typer

from consortium.model.card import ModelEvaluation
from consortium.model.files import export_model, read_model
from consortium.report.elements.run_reader import Recorded
from consortium.run.directory import RunDirectory


def export(
    model: Path = typer.Argument(..., help="The folder of a model, a site's or a run's."),
    folder: Path = typer.Argument(..., help="Where to; a new or empty folder."),
    run: Path = typer.Option(None, "--run", help="The run's directory, for the figures."),
    adapter: bool = typer.Option(False, "--adapter", help="Only what was trained."),
) -> None:
    """Write a model as transformers (or peft) loads it, with its tokenizer, labels and card."""
    found = find_model_folder(model)
    trained = read_model(found)
    directory = run or find_run(found)
    judged = read_judgement(RunDirectory(directory)) if directory else None
    export_model(trained, folder, judged, merged=not adapter)
    print(f"{folder}: {trained.charter.task}, with its card")


def find_model_folder(model: Path) -> Path:
    """Return the model's folder: the one named, or that of the site or run that was named."""
    if (model / "model.json").is_file():
        return model
    found = sorted([*model.glob("model/model.json"), *model.glob("sites/*/model/model.json")])
    return found[0].parent if found else model


def read_judgement(run: RunDirectory) -> ModelEvaluation | None:
    """Return what a run says of its model; None if it ended without an evaluation."""
    recorded = Recorded.read(run)
    if recorded.pooled_evaluation is None:
        return None
    return ModelEvaluation(tally=recorded.pooled_evaluation, comparison=recorded.comparison)


def find_run(folder: Path) -> Path | None:
    """Return the run that a model's folder lies in; None if it lies elsewhere."""
    runs = [one for one in folder.resolve().parents[:3] if RunDirectory(one).summary.is_file()]
    return runs[0] if runs else None
