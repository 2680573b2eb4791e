"""A small consortium with keys, whose run is in the clear."""

from itertools import count
from typing import Any

from consortium.coordinator.assembly import clear_strategy
from privacy.errors import ConsortiumError
from tests.small_consortium import Consortium, Course, configured, forget_processes

_RUNS = count(1)


def clear_run(consortium: Consortium, config: dict[str, Any]) -> Course:
    """Run in the clear; the course holds what the sites were asked."""
    forget_processes()
    course, settings = Course(), configured({"aggregation": "clear", **config})
    strategy = clear_strategy(
        settings,
        consortium.charter,
        f"clear-{next(_RUNS)}",
        observe=course.events.append,
        keep=lambda _progress: None,
    )
    try:
        strategy.start(consortium.bus(course, settings), settings.num_server_rounds)
    except ConsortiumError as error:
        course.error = error
    return course
