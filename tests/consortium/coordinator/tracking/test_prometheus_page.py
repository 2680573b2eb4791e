"""The page that Prometheus reads: of this machine only, and of the last round."""

import http.client
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.prometheus_file import exposition
from consortium.coordinator.tracking.prometheus_page import PrometheusPage
from consortium.coordinator.tracking.registry import begin_trackers, trackers_in_environment

NAME = RunName("heart", "heart-1")
COURSE = {"sites": 4, "seconds": 0.5, "bytes_down": 10, "bytes_up": 20}


def told(server_round: int) -> RoundFigures:
    return RoundFigures(server_round=server_round, course=COURSE, metrics={"auc": 0.5})


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def page(port: int) -> Iterator[PrometheusPage]:
    begun = PrometheusPage(port, NAME)
    yield begun
    begun.close(finished=True)


def answer(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        asked.request("GET", path, headers=headers)
        got = asked.getresponse()
        return got.status, got.read().decode()
    finally:
        asked.close()


def test_a_reader_gets_the_last_round(page: PrometheusPage, port: int) -> None:
    assert answer(port) == (200, "")
    for server_round in (1, 2):
        page.note_round(told(server_round))
    assert answer(port) == (200, exposition(told(2), NAME))


def test_a_reader_gets_the_last_metrics_that_are_known(page: PrometheusPage, port: int) -> None:
    page.note_round(told(1))
    later = replace(told(2), metrics={})
    page.note_round(later)
    assert answer(port) == (200, exposition(later, NAME, told(1)))


def test_another_path_or_host_gets_nothing(page: PrometheusPage, port: int) -> None:
    """A page in a browser that points its own name at 127.0.0.1 asks for that name."""
    page.note_round(told(1))
    assert answer(port, "/")[0] == 404
    status, said = answer(port, Host=f"attacker.example:{port}")
    assert status == 403
    assert "consortium_" not in said


@pytest.mark.usefixtures("page")
def test_it_listens_on_no_other_address(port: int) -> None:
    """All of 127.0.0.0/8 is this machine, so a page on every address would answer here too."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=10)


@pytest.mark.usefixtures("page")
def test_a_port_that_is_taken_is_told_once_and_stops_no_run(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with trackers_in_environment([f"prometheus:http://127.0.0.1:{port}"]):
        begin_trackers(lambda _event: {}, NAME).close(finished=True)
    assert [one.levelno for one in caplog.records] == [logging.WARNING]


def test_after_the_run_the_port_is_free(port: int) -> None:
    with trackers_in_environment([f"prometheus:http://127.0.0.1:{port}"]):
        for _run in range(2):
            trackers = begin_trackers(lambda _event: {}, NAME)
            assert answer(port)[0] == 200
            trackers.close(finished=True)
    with pytest.raises(ConnectionRefusedError):
        answer(port)
