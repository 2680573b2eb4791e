"""Every cell of every notebook runs, in order, and the notebooks are as they were written."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.notebooks import NOTEBOOKS, cells
from tests.docs.pages import anchors
from tests.docs.reader import Reader, require_described
from tests.forked import Forked

every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
def test_a_notebook_runs_and_leaves_what_is_described(
    notebook: Path, tmp_path: Path, forked: Forked
) -> None:
    program = (
        "from pathlib import Path\n"
        "from tests.docs.notebooks import run_notebook\n"
        f"run_notebook(Path({str(notebook)!r}))"
    )
    Reader(tmp_path, forked).starts(program)
    require_described(tmp_path)


@every_notebook
def test_a_notebook_is_of_the_fourth_format_and_keeps_no_output(notebook: Path) -> None:
    """What a run prints may quote records, and differs from run to run."""
    found = json.loads(notebook.read_text())
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert found["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in found["cells"]]
    assert len({*ids}) == len(ids)
    assert all(not one.get("outputs") for one in found["cells"])
    assert all(one.get("execution_count") is None for one in found["cells"])
    assert {one["cell_type"] for one in found["cells"]} == {"code", "markdown"}


@every_notebook
def test_links_of_a_notebook_lead_somewhere(notebook: Path) -> None:
    for text in cells(notebook, "markdown"):
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            linked = notebook.parent / path
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_there_is_a_notebook_for_each_of_three_readers() -> None:
    assert {one.stem for one in NOTEBOOKS} == {
        "first-consortium",
        "own-data",
        "what-leaves-my-site",
    }


@every_notebook
def test_a_notebook_says_what_it_is_about_in_its_first_line(notebook: Path) -> None:
    assert cells(notebook, "markdown")[0].startswith("# ")
