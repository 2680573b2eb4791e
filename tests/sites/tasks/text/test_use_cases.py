import pytest

from sites.plans import TextModelPlan
from sites.schema.texts import EntitySchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.use_cases import market_sentiment_task
from tests.sites.small_encoders import FINDINGS, SIDES

MODEL = TextModelPlan(max_tokens=64, stride=16)


def test_market_sentiment_is_a_notes_task() -> None:
    assert isinstance(market_sentiment_task(SIDES, MODEL, seed=7), NotesTask)


@pytest.mark.parametrize("schema", [FINDINGS, EntitySchema(name="drugs", types=("Drug",))])
def test_market_sentiment_needs_one_class_per_text(schema: EntitySchema) -> None:
    with pytest.raises(UnfitSchema, match="one class per text"):
        market_sentiment_task(schema, MODEL, seed=7)
