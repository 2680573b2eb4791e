from datetime import UTC, datetime

from consortium.report.preview.page import preview_page
from consortium.report.preview.view import ColumnView, Preview
from sites.comparison.findings import Finding

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WARD = {"kind": "category", "values": ["<day>", "night"], "counts": [3, 1], "missing": 0}
FOUND = Finding(kind="codes", column="ward", what="x", sentence="ward looks <odd>", alarming=True)


def page(*alarms: Finding, others: int = 8) -> str:
    column = ColumnView(
        name="ward",
        own=WARD,
        others=WARD if others else {},
        records=4,
        other_records=others,
        findings=alarms,
    )
    shown = Preview(
        site="north",
        charter="small",
        records=4,
        other_records=others,
        columns=(column,),
        alarms=alarms,
        findings=alarms,
    )
    return preview_page(shown, now=NOW)


def test_the_heading_says_what_was_found() -> None:
    assert "One column looks wrong beside the others'" in page(FOUND)
    assert "These columns look wrong" in page(FOUND, FOUND)
    assert "Nothing looks wrong beside the others'" in page()
    assert "What this site would send" in page(others=0)


def test_what_comes_from_a_schema_is_escaped() -> None:
    assert "ward looks &lt;odd&gt;" in page(FOUND)
    assert "<day>" not in page(FOUND)


def test_it_refers_to_no_other_file() -> None:
    assert "src=" not in page(FOUND)
    assert "href=" not in page(FOUND)
