"""The notebooks as they are executed: every cell, in order, in one namespace, as Jupyter does.

Jupyter itself is not needed: a notebook is JSON, and its cells are plain Python.
"""

import ast
import json
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT

NOTEBOOKS = tuple(sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")))


def cells(notebook: Path, kind: str) -> list[str]:
    """Return the texts of the cells of a kind, `code` or `markdown`, in order."""
    found = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def run_notebook(notebook: Path) -> None:
    """Execute the cells of a notebook; show what the last line of each says, as Jupyter would."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(cells(notebook, "code"), start=1):
        tree = ast.parse(text)
        shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        place = f"{notebook.name}, cell {number}"
        exec(compile(tree, place, "exec"), namespace)  # noqa: S102 -- what a notebook is for
        if isinstance(shown, ast.Expr):
            _show(eval(compile(ast.Expression(shown.value), place, "eval"), namespace))  # noqa: S307


def _show(value: object) -> None:
    as_page = getattr(value, "_repr_html_", None)
    text = as_page() if as_page else value
    if text is not None:
        print(text)  # noqa: T201 -- a cell prints what its last line says
