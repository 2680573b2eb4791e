"""Whole runs on texts, with an encoder of two layers."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.model.personal import personal_folder
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from privacy.policy.document import read_policy
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.prediction import predictions
from scenarios.scenario import MACRO_F1, Engine, Scenario
from sites.data.source import TableFile
from tests.sites.small_encoders import SIDES, small, table

SITES = ("north", "east", "west")


def records() -> pd.DataFrame:
    """Notes of 150 persons, each with a word that nobody else uses; some labels are wrong."""
    frame = table(n=300)
    frame.loc[4::14, "side"] = "mid"
    return frame.assign(text=[f"{text} zq{row}x" for row, text in enumerate(frame["text"])])


def owners(frame: pd.DataFrame) -> "pd.Series[str]":
    return pd.Series([SITES[int(person[1:]) % 3] for person in frame["person"]], frame.index)


SCENARIO = Scenario(
    name="wards",
    title="Three wards",
    story="Made up, for tests.",
    task="clinical-notes",
    table=SIDES,
    sites=SITES,
    records=records,
    site_of_row=owners,
    run_config={
        "model-name": small(),
        "lora-rank": 2,
        "max-tokens": 16,
        "stride": 4,
        "num-server-rounds": 2,
        "batch-size": 8,
        "learning-rate": 5e-3,
        "local-optimizer": "adam",
        "quorum": 3,
    },
    headline=MACRO_F1,
)


def as_staged(run: RunDirectory) -> None:
    """Leave the sites as they are."""


def north_keeps_mistakes(run: RunDirectory) -> None:
    """Let one site keep its misclassified notes, and no other."""
    directory = run.site("north")
    read_policy(directory).model_copy(update={"mistakes_kept": 5}).write(directory)


def run_texts(
    folder: Path,
    on_staged: Callable[[RunDirectory], None] = as_staged,
    engine: Engine = "inprocess",
    **chosen: Scalar,
) -> tuple[RunDirectory, Summary]:
    run = new_run_directory(SCENARIO, under=folder, named=None)
    settings = {key.replace("_", "-"): value for key, value in chosen.items()}
    config = SCENARIO.config_with(settings)
    order = ScenarioRun(scenario=SCENARIO, config=config, on_staged=on_staged, engine=engine)
    return run, run_scenario(order, run)


@pytest.fixture(scope="module")
def clear_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Summary]:
    """One run in the clear, in which one site keeps its misclassified notes."""
    return run_texts(tmp_path_factory.mktemp("clear"), north_keeps_mistakes)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(
    clear_run: tuple[RunDirectory, Summary], tmp_path: Path
) -> None:
    """The same bytes travel whether a site keeps misclassified notes or not."""
    run, again = run_texts(tmp_path)
    assert again.model_digest == clear_run[1].model_digest
    assert again.metrics == clear_run[1].metrics
    assert (again.bytes_up, again.bytes_down) == (clear_run[1].bytes_up, clear_run[1].bytes_down)
    assert not [path for path in run.path.rglob("*") if path.parent.name == "mistakes"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_another_engine_gives_the_same_model(
    clear_run: tuple[RunDirectory, Summary], tmp_path: Path
) -> None:
    """Sites have processes and encoders of their own, and the digest is the same."""
    there = run_texts(tmp_path, engine="simulation")[1]
    assert there.model_digest == clear_run[1].model_digest
    assert there.metrics == clear_run[1].metrics


def test_misclassified_notes_are_at_the_site_that_asked_for_them_and_nowhere_else(
    clear_run: tuple[RunDirectory, Summary],
) -> None:
    """No word of them is in any other file of the run, nor in the report or at other sites."""
    run = clear_run[0]
    render_report(run)
    kept = run.site("north") / "mistakes" / "last.jsonl"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    found = [json.loads(line) for line in kept.read_text().splitlines()]
    assert 1 <= len(found) <= 5
    assert all(one["true"] != one["predicted"] for one in found)
    assert all(int(one["person"][1:]) % 3 == 0 for one in found)  # those of north
    marks = [one["text"].split()[-1].encode() for one in found]
    assert all(mark.startswith(b"zq") for mark in marks)
    source = run.site("north") / "data.parquet"
    others = [path for path in run.path.rglob("*") if path.is_file() and path not in (kept, source)]
    written = b"".join(path.read_bytes() for path in others)
    assert (run.site("north") / "model" / "model.json") in others
    assert not [mark for mark in marks if mark in written]


@pytest.mark.slow
def test_each_site_makes_only_its_normalisation_layers_its_own(tmp_path: Path) -> None:
    """With `own-norms`: nothing else of the encoder and its head moves, and sites differ."""
    run, _ = run_texts(
        tmp_path, travels="full", num_server_rounds=1, personalise="own-norms", personal_epochs=1
    )
    shared, own = read_model(run.model), set()
    for name in SITES:
        model = read_model(personal_folder(run.site(name)))
        change = model.task.layout.unflatten(model.vector - shared.vector)
        moved = {part for part, numbers in change.items() if np.any(numbers)}
        assert moved
        assert {part for part in change if "LayerNorm" in part} >= moved
        own.add(model.vector.tobytes())
    assert len(own) == len(SITES)


def test_the_encrypted_model_is_as_good_as_the_plaintext_one(
    clear_run: tuple[RunDirectory, Summary], tmp_path: Path
) -> None:
    """Metrics differ by at most 0.001, and no value is cut off."""
    sealed = run_texts(tmp_path, aggregation="encrypted")[1]
    assert sealed.status == "finished"
    assert sealed.saturation is not None
    assert sealed.saturation.values == {}
    for name in ("accuracy", "macro_f1"):
        value = clear_run[1].metrics[name].value
        assert sealed.metrics[name].value == pytest.approx(value, abs=0.001)


def test_no_word_of_a_note_is_outside_its_site(clear_run: tuple[RunDirectory, Summary]) -> None:
    run = clear_run[0]
    shared = [p for p in run.path.rglob("*") if p.is_file() and "sites" not in p.parts]
    assert shared
    written = b"".join(path.read_bytes() for path in shared)
    assert not [row for row in range(300) if f"zq{row}x".encode() in written]


def test_the_model_of_a_run_labels_new_notes(
    clear_run: tuple[RunDirectory, Summary], tmp_path: Path
) -> None:
    """Notes keep their order and get a probability a class, from any copy of the model."""
    table(n=7, seed=9)[["text"]].to_csv(tmp_path / "new.csv", index=False)
    folder = (
        clear_run[0] if clear_run[0].model.exists() else RunDirectory(clear_run[0].site("north"))
    )
    found = predictions(folder, TableFile(path=tmp_path / "new.csv"))
    names = ("left", "mid", "right")
    assert found["row"].tolist() == list(range(1, 8))
    shares = found[[f"probability_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert found["predicted"].tolist() == [names[code] for code in shares.argmax(axis=1)]


def test_the_report_shows_the_classes(clear_run: tuple[RunDirectory, Summary]) -> None:
    text = render_report(clear_run[0]).read_text()
    assert "characters" in text
    assert "Class by class" in text
