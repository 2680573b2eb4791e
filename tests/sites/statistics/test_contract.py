from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import EntitySchema, NotesSchema
from sites.statistics.contract import statistics_for
from sites.statistics.tables import Statistics
from sites.statistics.texts import TextStatistics

SIDE = ClassLabel(column="side", classes=("left", "right"))


def test_each_kind_of_schema_has_its_statistics() -> None:
    age = Number(name="age", low=0, high=120)
    table = Schema(name="beds", person="person", features=(age,), label=SIDE)
    assert isinstance(statistics_for(table), Statistics)
    for texts in (NotesSchema(name="notes", label=SIDE), EntitySchema(name="x", types=("Drug",))):
        assert isinstance(statistics_for(texts), TextStatistics)
