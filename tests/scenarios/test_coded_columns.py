"""A consortium whose cells are codes of diagnoses: a run, and predictions, from code to figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import consortium as c
from sites.codes.systems import group_of

CODES = ("I21.9", "i219", "I10", "E11.65", "e1165", "J45.909", "C50.911")
NAMES = ("ward-a", "ward-b", "ward-c")


def schema(*, coded: bool) -> c.Schema:
    chapters = c.Category(name="dx", codes="icd-10-cm", group="chapter", missing=True)
    plain = c.Category(name="dx", values=chapters.values, missing=True)
    return c.Schema(
        name="discharges",
        person="patient",
        features=(c.Number(name="age", low=0, high=120), chapters if coded else plain),
        label=c.ClassLabel(column="readmitted", classes=("no", "yes")),
    )


def tables() -> dict[str, pd.DataFrame]:
    """Return the wards' records: who has a disease of the heart comes back more often."""
    found = {}
    for number, name in enumerate(NAMES):
        rng = np.random.default_rng(number)
        codes = rng.choice(np.array(CODES), size=150)
        odds = np.where(np.char.upper(codes.astype(str)) >= "I", 0.8, 0.2)
        found[name] = pd.DataFrame(
            {
                "patient": [f"{name}-{one}" for one in range(150)],
                "age": rng.integers(20, 90, 150).astype(float),
                "dx": pd.Series(codes, dtype=object).mask(rng.random(150) < 0.1),
                "readmitted": np.where(rng.random(150) < odds, "yes", "no"),
            }
        )
    return found


def by_chapter(frame: pd.DataFrame) -> pd.DataFrame:
    chapters = [
        group_of("icd-10-cm", "chapter", one) if isinstance(one, str) else None
        for one in frame["dx"]
    ]
    return frame.assign(dx=pd.Series(chapters, index=frame.index, dtype=object))


def probabilities(run: c.Run, frame: pd.DataFrame) -> NDArray[np.float64]:
    model: Any = run.model  # a classifier, as its label says
    return np.asarray(model.predict_proba(frame), np.float64)


def test_codes_train_and_are_scored_as_the_chapters_that_they_stand_in(tmp_path: Path) -> None:
    frames = tables()
    runs = {
        coded: c.simulate(
            schema(coded=coded),
            frames if coded else {name: by_chapter(frame) for name, frame in frames.items()},
            rounds=1,
            encrypted=True,
            config={"model": "logistic"},
            out=tmp_path / str(coded),
        )
        for coded in (True, False)
    }
    new = frames["ward-a"].drop(columns="readmitted")
    scores = probabilities(runs[True], new)
    np.testing.assert_array_equal(scores, probabilities(runs[False], by_chapter(new)))
    assert len(np.unique(scores)) > len(new) // 2
    pd.testing.assert_frame_equal(runs[True].metrics, runs[False].metrics)
