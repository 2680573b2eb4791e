"""The best run config of a sweep as a file that `scenario run` takes."""

import json
from collections.abc import Mapping
from pathlib import Path

from consortium.config import Scalar
from privacy.storage.durable_files import write_atomically


def write_tuned_file(
    path: Path, *, scenario: str, settings: Mapping[str, Scalar], said: str
) -> None:
    """Write a scenario with other settings.

    Args:
        path: The file to write.
        scenario: Name of the scenario, or an absolute path of its file.
        settings: Keys of the run config that differ from the scenario's.
        said: A comment: one line.
    """
    lines = [f"# {said}", f"extends = {json.dumps(scenario)}", "", "[config]"]
    # A string of JSON is a string of TOML, and so are its numbers and its truth values.
    lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in settings.items()]
    write_atomically(path, "\n".join(lines) + "\n")
