"""Annotated sentences are used as they stand, or refused: none is dropped, none misread."""

import json
from pathlib import Path

import pytest

from sites.data.annotations import read_annotated_sentences
from sites.data.source import IobFiles, TableFile
from sites.schema.texts import EntitySchema
from tests.files.refusals import numbers_in, refusal

DISEASES = EntitySchema(name="diseases", types=("Disease",))
PLACES = EntitySchema(name="places", types=("ORG", "LOC"))

# The columns of GermEval 2014: number, word, outer tag, inner tag. Of three entities one is inner.
NUMBERED = "1\tKlinik\tB-ORG\tO\n2\tBerlin\tI-ORG\tB-LOC\n\n1\tsah\tO\tO\n2\tKiel\tB-LOC\tO\n"


@pytest.mark.parametrize("side", ["Train", "TRAIN", "Test", "test ", "validation", None])
def test_a_side_that_is_neither_train_nor_test_is_refused_by_its_row(
    side: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "sentences.jsonl"
    rows = [
        {"document": f"d{row}", "tokens": ["has", "gout"], "tags": ["O", "B-Disease"], "side": told}
        for row, told in enumerate(["train", "test", side])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    error = refusal(lambda: read_annotated_sentences(TableFile(path=path, split="side"), DISEASES))
    assert error is not None
    assert 3 in numbers_in(error)


def test_the_numbers_of_words_are_not_read_as_the_words(tmp_path: Path) -> None:
    """Such a file is refused, or its words are those that stand beside the numbers."""
    path = tmp_path / "de.conll"
    path.write_text(NUMBERED)
    found = []
    error = refusal(lambda: found.append(read_annotated_sentences(IobFiles(path=path), PLACES)))
    assert error is not None or found[0].tokens == (("Klinik", "Berlin"), ("sah", "Kiel"))
