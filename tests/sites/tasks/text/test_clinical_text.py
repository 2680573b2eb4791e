import pytest

from sites.plans import TextModelPlan
from sites.schema.texts import EntitySchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.use_cases import clinical_notes_task
from tests.sites.small_encoders import FINDINGS, SIDES

MODEL = TextModelPlan()


def test_notes_may_have_one_class_or_several_labels() -> None:
    for schema in (SIDES, FINDINGS):
        assert isinstance(clinical_notes_task(schema, MODEL, seed=7), NotesTask)


def test_clinical_notes_refuses_a_schema_of_entities() -> None:
    with pytest.raises(UnfitSchema, match="needs a schema of whole texts"):
        clinical_notes_task(EntitySchema(name="drugs", types=("Drug",)), MODEL, seed=7)
