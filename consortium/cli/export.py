"""`consortium export`: write a trained model in files that other programs can load."""

from pathlib import Path

import typer

from consortium.model.files import BadModel, export_model, read_model
from consortium.report.site_text import read_outcome
from consortium.run.directory import RunDirectory


def export(
    model: Path = typer.Argument(..., help="The directory of a model, a site or a run."),
    folder: Path = typer.Argument(..., help="A new or empty folder to write to."),
    run: Path = typer.Option(
        None, "--run", help="The run's directory, for the metrics in the card."
    ),
    adapter: bool = typer.Option(False, "--adapter", help="Write only the trained parameters."),
    onnx: bool = typer.Option(
        False, "--onnx", help="Write model.onnx, too: it reads the columns of a table as they are."
    ),
) -> None:
    """Write a model for other programs (transformers, peft, XGBoost, ONNX), with its card."""
    found = find_model_folder(model)
    trained = read_model(found)
    directory = run or find_run(found)
    outcome = read_outcome(RunDirectory(directory)) if directory else None
    export_model(trained, folder, outcome, merged=not adapter, onnx=onnx)
    print(f"wrote {folder}: {trained.charter.task}, with its card")


def find_model_folder(model: Path) -> Path:
    """Find the folder of a model, given that folder or the directory of a site or a run.

    Raises:
        BadModel: There is one that is not confirmed.
    """
    if (model / "model.json").is_file():
        return model
    found = sorted([*model.glob("model/model.json"), *model.glob("sites/*/model/model.json")])
    if not found and any([*model.glob("provisional/*"), *model.glob("sites/*/provisional/*")]):
        raise BadModel(
            f"the model in {model} is provisional: most sites have not been seen to sign the same "
            "final state. Resume the run, and export it then"
        )
    return found[0].parent if found else model


def find_run(folder: Path) -> Path | None:
    """Find the run directory that contains a model's folder; None if there is none."""
    runs = [one for one in folder.resolve().parents[:3] if RunDirectory(one).summary.is_file()]
    return runs[0] if runs else None
