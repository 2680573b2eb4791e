"""Events are read while they are appended, each once and whole."""

from pathlib import Path

from consortium.run.event_reader import EventReader


def test_an_event_is_read_once_and_only_when_its_line_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert list(reader.new_events()) == []  # there is no file yet
    path.write_text('{"event": "a"}\n{"event": "b')
    assert list(reader.new_events()) == [{"event": "a"}]
    assert list(reader.new_events()) == []
    with path.open("a") as file:
        file.write('"}\n{"event": "c"}\n')
    assert list(reader.new_events()) == [{"event": "b"}, {"event": "c"}]


def test_another_reader_begins_at_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "a"}\n')
    assert [*EventReader(path).new_events()] == [*EventReader(path).new_events()] != []
