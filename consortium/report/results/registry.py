"""The pages of results, by the kind of result: a learner that counts has one line here.

A module of its own so that a new kind is its module and one line here.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from consortium.report.elements.blocks import Section
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.boosted_trees import boosted_tree_sections
from consortium.report.results.regression import regression_sections
from consortium.report.results.score_card import score_card_sections
from consortium.report.results.survival import survival_sections
from consortium.report.results.table_one import description_sections

Pages: TypeAlias = Callable[[Recorded, Mapping[str, Any]], Sequence[Section]]

_PAGES: Mapping[str, Pages] = MappingProxyType(
    {
        "description": description_sections,
        "glm": regression_sections,
        "trees": boosted_tree_sections,
        "scorecard": score_card_sections,
        "survival": survival_sections,
    }
)


def result_sections(recorded: Recorded) -> tuple[Section, ...]:
    """Return the sections on what a run's state says; none if it is a model and nothing else.

    They are made from the model that the run's directory holds. Where it lies at the sites only,
    the report of the coordinator has none.
    """
    if recorded.model is None or not recorded.is_finished:
        return ()
    found = recorded.model.results
    pages = _PAGES.get(str(found.get("kind", "")))
    return () if pages is None else tuple(pages(recorded, found))
