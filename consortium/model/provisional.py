"""The model of a run that is not over: apart from the site's model until most sites agree on it.

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
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def confirm_model(directory: Path, run: str) -> bool:
    """Make a run's model the site's model; return False if there is none, as after the first time.

    Guarantee: after a death in between, it is completed when it is asked for again.
    """
    folder, model = _folder(directory, run), SiteDirectory(directory).model
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
    """Delete a run's model that the other sites do not have."""
    shutil.rmtree(_folder(directory, run), ignore_errors=True)


def _folder(directory: Path, run: str) -> Path:
    # A run id is longer than some file systems allow a name to be.
    return SiteDirectory(directory).provisional / hashlib.sha256(run.encode()).hexdigest()[:16]
