import pytest

from sites.plans import TextModelPlan
from sites.schema.texts import EntitySchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.use_cases import clinical_notes
from tests.sites.small_encoders import FINDINGS, SIDES

MODEL = TextModelPlan()


def test_notes_may_have_one_class_or_several_labels() -> None:
    for schema in (SIDES, FINDINGS):
        assert isinstance(clinical_notes(schema, MODEL, seed=7), NotesTask)


def test_entities_are_another_task() -> None:
    with pytest.raises(UnfitSchema, match="labels whole texts"):
        clinical_notes(EntitySchema(name="drugs", types=("Drug",)), MODEL, seed=7)
