import pytest

from sites.schema.texts import EntitySchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.clinical_text import MODEL, clinical_notes
from tests.sites.small_encoders import FINDINGS, SIDES


def test_notes_may_have_one_class_or_several_labels() -> None:
    for schema in (SIDES, FINDINGS):
        assert isinstance(clinical_notes(schema, MODEL, seed=7), NotesTask)


def test_entities_are_another_task() -> None:
    with pytest.raises(UnfitSchema, match="labels whole texts"):
        clinical_notes(EntitySchema(name="drugs", types=("Drug",)), MODEL, seed=7)
