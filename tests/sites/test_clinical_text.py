import pytest

from sites.clinical_text import MODEL, clinical_notes
from sites.notes import NotesTask
from sites.task import UnfitSchema
from sites.text_schema import EntitySchema
from tests.sites.small_encoders import FINDINGS, SIDES


def test_notes_may_have_one_class_or_several_labels() -> None:
    for schema in (SIDES, FINDINGS):
        assert isinstance(clinical_notes(schema, MODEL, seed=7), NotesTask)


def test_entities_are_another_task() -> None:
    with pytest.raises(UnfitSchema, match="labels whole texts"):
        clinical_notes(EntitySchema(name="drugs", types=("Drug",)), MODEL, seed=7)
