"""Tables by label and entity type: pooled figures, and those of a single site only if released."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consortium.report.elements.blocks import Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections.labels_and_entities import Marks, label_tables
from consortium.run.records import Tallies
from consortium.wording.formatting import DASH
from sites.evaluation.contract import evaluation_for
from sites.schema.texts import AnySchema, EntitySchema, MultiLabel, NotesSchema
from tests.consortium.sample_run import BANKS, Sample

ENTITIES = EntitySchema(name="words", types=("Drug", "Disease"))
LABELS = NotesSchema(name="notes", label=MultiLabel(column="found", labels=("Drug", "Disease")))


def recorded(folder: Path, table: AnySchema, *, released: tuple[str, ...]) -> Recorded:
    """Return a run in which every site has the same counts."""
    found = Recorded.read(Sample(members=BANKS[:3]).write(folder / "run"))
    charter = found.charter.model_copy(update={"table": table})
    tally = one(table)
    by_site = {name: tally.tolist() for name in released}
    tallies = Tallies(pooled=(3 * tally).tolist(), by_site=by_site)
    return replace(found, charter=charter, evaluation_tallies=tallies)


def one(table: AnySchema) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """A site's counts: two drugs, of which one is found, and no disease."""
    if table is ENTITIES:
        tags = np.array([1, 2, 0, 1, -1]), np.array([1, 2, 0, 0, -1])
        return evaluation_for(table).tally(tags[1].astype(float), tags[0])
    truth, said = np.array([[1, 0], [1, 0]]), np.array([[0.9, 0.1], [0.2, 0.1]])
    return evaluation_for(table).tally(said, truth)


@pytest.mark.parametrize(("table", "of"), [(ENTITIES, "entities"), (LABELS, "labels")])
def test_each_type_is_told_pooled_and_by_site(tmp_path: Path, table: AnySchema, of: Marks) -> None:
    run = recorded(tmp_path, table, released=BANKS[:2])
    pooled, by_site = label_tables(run, 3 * one(table), of=of)
    assert isinstance(pooled, Table)
    assert isinstance(by_site, Table)
    assert pooled.rows[0] == ("Drug", "6", "3", "3", "0", "1.000", "0.500", "0.667")
    assert pooled.rows[1][-3:] == (DASH,) * 3
    assert [row[:3] for row in by_site.rows] == [
        (site, kind, support)
        for site in BANKS[:2]
        for kind, support in (("Drug", "2"), ("Disease", "0"))
    ]
    assert by_site.rows[0][3:] == ("1.000", "0.500", "0.667")
    assert BANKS[2] in by_site.note


def test_no_site_is_told_of_that_released_nothing(tmp_path: Path) -> None:
    run = recorded(tmp_path, ENTITIES, released=())
    assert len(label_tables(run, 3 * one(ENTITIES), of="entities")) == 1
