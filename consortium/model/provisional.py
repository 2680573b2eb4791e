"""The model of a run that is not over: apart from the site's model until most sites agree on it.

So are the texts that it reads wrongly, if the site keeps them.

A module of its own because confirming moves a folder, and needs nothing of what writes models.
"""

import hashlib
import shutil
from pathlib import Path

from consortium.site.directory import SiteDirectory

_REPLACED = "replaced"


def make_provisional_folder(directory: Path, run: str) -> Path:
    """Return a site's folder for the model of a run, until it is confirmed.

    Guarantee: a site keeps one such model; that of an earlier run, which nobody confirmed, goes.
    """
    folder = _folder(directory, run)
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    last, ours = SiteDirectory(directory).mistakes, provisional_mistakes(directory, run)
    for file in last.parent.glob("*.jsonl"):
        if file not in {last, ours}:
            file.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def provisional_mistakes(directory: Path, run: str) -> Path:
    """Return a site's file for what a run's model reads wrongly, until it is confirmed."""
    return SiteDirectory(directory).mistakes.with_name(f"{_short_name(run)}.jsonl")


def confirm_model(directory: Path, run: str) -> bool:
    """Make a run's model the site's model; return False if there is none, as after the first time.

    What it reads wrongly, if the site keeps that, takes the place of what the earlier model did.

    Guarantee: after a death in between, it is completed when it is asked for again.
    """
    folder, model = _folder(directory, run), SiteDirectory(directory).model
    mistakes = provisional_mistakes(directory, run)
    if mistakes.exists():
        mistakes.replace(SiteDirectory(directory).mistakes)
    if not folder.is_dir():
        return False
    # A folder that is not empty cannot be replaced in one step, so the earlier model steps aside.
    replaced = folder.with_name(_REPLACED)
    shutil.rmtree(replaced, ignore_errors=True)
    if model.exists():
        model.rename(replaced)
    folder.rename(model)
    shutil.rmtree(folder.parent)
    return True


def discard_model(directory: Path, run: str) -> None:
    """Delete a run's model that the other sites do not have, and what it reads wrongly."""
    shutil.rmtree(_folder(directory, run), ignore_errors=True)
    provisional_mistakes(directory, run).unlink(missing_ok=True)


def _folder(directory: Path, run: str) -> Path:
    return SiteDirectory(directory).provisional / _short_name(run)


def _short_name(run: str) -> str:
    # A run id is longer than some file systems allow a name to be.
    return hashlib.sha256(run.encode()).hexdigest()[:16]
