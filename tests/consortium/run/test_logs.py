"""Each party's log entries go to its own file, and logging never prevents an answer."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run import logs
from consortium.run.logs import (
    LEVEL,
    last_error,
    last_error_text,
    log_before,
    log_in_detail,
    logging_to,
)
from tests.consortium.staged import ward

_LOG = logging.getLogger("consortium.client.anything")


def test_a_line_goes_to_the_file_of_the_party_whose_code_runs(tmp_path: Path) -> None:
    """Also if a site answers in the coordinator's process, as in a scenario."""
    site, coordinator = tmp_path / "site.log", tmp_path / "coordinator.log"
    with logging_to(coordinator):
        _LOG.warning("before")
        with logging_to(site):
            _LOG.warning("age 63")
        _LOG.warning("after")
    _LOG.warning("nobody's")
    assert site.read_text().endswith("WARNING consortium.client.anything: age 63\n")
    assert [line.split(": ")[1] for line in coordinator.read_text().splitlines()] == [
        "before",
        "after",
    ]


def test_a_line_reaches_no_handler_but_ours(tmp_path: Path) -> None:
    """Ray shows the driver of a simulation what a site's process prints."""
    heard: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = heard.append  # type: ignore[assignment]
    logging.getLogger().addHandler(other)
    try:
        with logging_to(tmp_path / "site.log"):
            _LOG.error("age 63")
    finally:
        logging.getLogger().removeHandler(other)
    assert heard == []


def test_what_goes_as_it_should_is_logged_only_if_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEVEL, "WARNING")
    log = tmp_path / "site.log"
    with logging_to(log):
        _LOG.info("answered")
    assert not log.exists()
    log_in_detail()
    with logging_to(log):
        _LOG.info("answered")
    assert "answered" in log.read_text()


@given(text=st.text(st.characters(), max_size=30))
def test_any_text_can_be_logged(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Even half of a surrogate pair, which no encoding can hold."""
    log = tmp_path_factory.mktemp("log") / "site.log"
    with logging_to(log):
        _LOG.error("%s\ud800", text)
    assert "\\ud800" in log.read_bytes().decode()


def test_a_log_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "site.log").mkdir()
    with logging_to(tmp_path / "site.log"):
        _LOG.error("lost")
    with logging_to(tmp_path / "gone" / "site.log"):
        _LOG.error("lost")


def test_the_last_error_is_found_below_lines_that_are_none() -> None:
    lines = [
        "--- 2026-01-02T03:04:05+00:00 ERROR consortium.client.mods: refused train: bad-table",
        "Traceback (most recent call last):",
        "BadTable: age: expected a number",
        "--- 2026-01-02T03:05:05+00:00 INFO consortium.client.mods: answered train: 12 bytes",
    ]
    assert last_error(lines) == "BadTable: age: expected a number"
    assert last_error(lines[3:]) == ""


def _raise_error(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("said", ["age: expected a number", "two columns break it:\n- age\n- sex"])
def test_what_the_last_error_says_is_whole_and_without_its_traceback(
    said: str, tmp_path: Path
) -> None:
    log = tmp_path / "site.log"
    assert last_error_text(log) == ""
    with logging_to(log):
        _LOG.warning("nobody is held out")
        assert last_error_text(log) == ""
        for text in ("an older one", said):
            try:
                _raise_error(text)
            except ValueError:
                _LOG.exception("refused query.hello: bad-table")
        _LOG.warning("later")
    assert last_error_text(log) == said


def test_the_last_error_of_a_log_of_version_0_1_0_is_its_last_line() -> None:
    lines = ["--- 2026-01-02T03:04:05+00:00", "Traceback (most recent call last):", "KeyError: 1"]
    assert last_error(lines) == "KeyError: 1"


def test_a_site_that_was_asked_says_so_in_detail_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from privacy.wire import messages

    monkeypatch.setenv(LEVEL, "INFO")
    at = ward(tmp_path, "hungary")
    question = messages.question(at.site.charter.fingerprint)
    at.ask(messages.STATISTICS, question)
    assert "answered query.statistics: " in at.log
    at.ask(messages.STATISTICS, messages.question("another"))
    assert "ERROR" in at.log
    assert "refused query.statistics: other-charter" in at.log


def test_a_full_log_is_put_aside_and_the_one_put_aside_before_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes a site refuse fills two files, and no disk."""
    monkeypatch.setattr(logs, "MOST_BYTES", 5_000)
    log = tmp_path / "site.log"
    with logging_to(log):
        for number in range(300):
            _LOG.error("entry %d", number)
            assert log.stat().st_size <= logs.MOST_BYTES
    assert {path.name for path in tmp_path.iterdir()} == {"site.log", "site.log.1"}
    kept = (log_before(log).read_text() + log.read_text()).splitlines()
    numbers = [int(line.rpartition(" ")[2]) for line in kept]
    assert numbers == list(range(numbers[0], 300))


def test_one_entry_fills_no_log(tmp_path: Path) -> None:
    log = tmp_path / "site.log"
    with logging_to(log):
        _LOG.error("first%slast", "\udc80" * 10**6)
    text = log.read_text()
    assert len(text) < 70_000
    assert "first" in text
    assert text.endswith("last\n")
