"""Withheld is not zero: who runs a consortium is told when and why there are no figures."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from scenarios.cli.main import app
from scenarios.data.datasets import load_dataset

_WITHHELD = re.compile(r"withh[eo]ld", re.IGNORECASE)
_TOO_FEW = re.compile(r"fewer than (10|ten)\b", re.IGNORECASE)
_NONE = re.compile(r"held-out records:? 0\b|\b0 held-out records", re.IGNORECASE)


def hardly_anybody_ill(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the patients of a rare disease: two of each hospital have it."""
    ill = frame.groupby("hospital").head(2).index
    return frame.assign(disease=["yes" if row in ill else "no" for row in frame.index])


def nobody_at_the_worst(frame: pd.DataFrame) -> pd.DataFrame:
    """Return patients of whom none is in the last class that the schema declares."""
    return frame.assign(severity=frame["severity"].clip(upper=3))


def run_encrypted(name: str, frame: pd.DataFrame, folder: Path) -> tuple[str, str]:
    """Run hospitals with these records; return what was printed, and the report."""
    data = []
    for site, part in frame.groupby("hospital"):
        path = folder / f"{site}.csv"
        part.to_csv(path, index=False)
        data += ["--data", f"{site}={path}"]
    settings = ["--set", "aggregation=encrypted", "--set", "num-server-rounds=1"]
    out = folder / "run"
    told = CliRunner().invoke(app, ["run", name, *settings, *data, "--out", str(out)])
    if told.exit_code:
        pytest.fail(told.output)
    return told.output, html.unescape(re.sub(r"<[^>]+>", " ", (out / "report.html").read_text()))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, whatever its lines."""
    return re.sub(r"\s+", " ", text).split(". ")


@pytest.mark.parametrize(
    ("name", "records"),
    [("heart-diagnosis", hardly_anybody_ill), ("heart-severity", nobody_at_the_worst)],
)
def test_figures_of_too_few_persons_of_a_class_are_told_to_be_withheld(
    name: str, records: Callable[[pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """In what is printed and in the report: not that no record was held out."""
    for text in run_encrypted(name, records(load_dataset("heart-disease")), tmp_path):
        assert [one for one in sentences(text) if _WITHHELD.search(one) and _TOO_FEW.search(one)]
        assert not _NONE.search(" ".join(sentences(text)))
