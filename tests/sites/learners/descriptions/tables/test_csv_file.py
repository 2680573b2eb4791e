import csv
import io

from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.csv_file import HEADINGS, written_table
from sites.learners.descriptions.tables.table_one import TableOne
from tests.sites.learners.descriptions.described import CLASSES, drawn, statistics_of


def test_every_figure_of_the_table_has_a_line_and_a_hidden_one_is_empty() -> None:
    records, counts = drawn(CLASSES, 60, 11), GroupCounts(CLASSES)
    statistics = statistics_of(CLASSES, records)
    found = TableOne(counts, statistics, counts.tally(records, statistics)).results
    lines = list(csv.DictReader(io.StringIO(written_table(found).decode())))
    assert tuple(lines[0]) == HEADINGS
    assert [line["value"] for line in lines[:3]] == [str(count) for count in found["records"]]
    levels = [line for line in lines if line["column"] == "sex"]
    told = [level["records"] for level in found["columns"][2]["levels"]]
    assert [line["value"] for line in levels] == [
        "" if count is None else str(count) for row in told for count in row
    ]
    median = next(line for line in lines if line["figure"] == "quantile 0.5")
    assert float(median["low"]) <= float(median["value"]) <= float(median["high"])
    assert median["unit"] == "years"
