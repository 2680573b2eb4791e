"""A small consortium with keys, whose run is in the clear."""

from collections.abc import Callable
from itertools import count
from typing import Any

from consortium.coordinator.assembly import clear_strategy
from privacy.errors import ConsortiumError
from strategies.coordinator.plaintext.parameters import Progress
from tests.small_consortium import (
    Consortium,
    Course,
    Hook,
    as_it_is,
    configured,
    forget_processes,
)

_RUNS = count(1)


def clear_run(
    consortium: Consortium,
    config: dict[str, Any],
    *,
    up: Hook = as_it_is,
    keep: Callable[[Progress], None] = lambda _progress: None,
) -> Course:
    """Run in the clear; the course holds what the sites were asked.

    Args:
        consortium: The sites.
        config: What differs from the small run config.
        up: Alters what sites answer.
        keep: Given the progress after each round.
    """
    forget_processes()
    course, settings = Course(), configured({"aggregation": "clear", **config})
    strategy = clear_strategy(
        settings,
        consortium.charter,
        f"clear-{next(_RUNS)}",
        observe=course.events.append,
        keep=keep,
    )
    try:
        strategy.start(consortium.bus(course, settings, up=up), settings.num_server_rounds)
    except ConsortiumError as error:
        course.error = error
    return course
