from sites.counting import statistics_for
from sites.schema import ClassLabel, Number, Schema
from sites.statistics import Statistics
from sites.text_schema import EntitySchema, NotesSchema
from sites.text_statistics import TextStatistics

SIDE = ClassLabel(column="side", classes=("left", "right"))


def test_each_kind_of_schema_has_its_statistics() -> None:
    age = Number(name="age", low=0, high=120)
    table = Schema(name="beds", person="person", features=(age,), label=SIDE)
    assert isinstance(statistics_for(table), Statistics)
    for texts in (NotesSchema(name="notes", label=SIDE), EntitySchema(name="x", types=("Drug",))):
        assert isinstance(statistics_for(texts), TextStatistics)
