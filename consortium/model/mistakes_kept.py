"""Held-out texts that the final model reads wrongly, kept at the site that owns them.

They lie beside the data and not with the model: a model is copied and handed on, these are not.
"""

import json
import os
from dataclasses import asdict

from consortium.site.site import Site
from privacy.layout import Tally, Vector
from privacy.storage.secret_files import private_directory
from sites.tasks.text.misclassified import ShowsMistakes

FOLDER, FILE = "mistakes", "last.jsonl"


def keep_mistakes(site: Site, statistics: Tally, vector: Vector) -> None:
    """Write what the final model reads wrongly to the site's own file, if its policy asks for it.

    Guarantee: without the policy's `mistakes_kept` there is no such file, not even that of an
    earlier run. Only the owner can read it, from its first byte on, and it is whole or not there.

    Raises:
        ExposedSecret: The file's directory is open to others.
    """
    path = site.directory / FOLDER / FILE
    most = site.policy.mistakes_kept
    if not most or not isinstance(site.task, ShowsMistakes):
        path.unlink(missing_ok=True)
        return
    found = site.task.mistakes(site.data, statistics, vector, at_most=most)
    private_directory(path.parent)
    partial = path.with_name(".last.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    partial.replace(path)
