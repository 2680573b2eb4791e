"""JSON lines are read through `read_table`, whose tests try what is wrong with a line."""

from pathlib import Path

from sites.data.formats.json_lines import read_json_lines


def test_a_record_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"age": 3}\n\n{"age": null}\n')
    frame = read_json_lines(path, "utf-8")
    assert [*frame.index] == [1, 3]
    assert [*frame["age"]] == [3, None]
