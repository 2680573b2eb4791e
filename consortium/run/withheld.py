"""Why an evaluation has no figures, in words: withheld is not zero."""

from collections.abc import Sequence

from consortium.wording.formatting import name_list

_MOST_NAMED = 6


def withheld_by_roster(sites: Sequence[str]) -> str:
    """Return why sites withheld an evaluation: they count exactly for other sites."""
    return (
        f"withheld, because {_named(sites)} {'counts' if len(sites) == 1 else 'count'} held-out "
        "records exactly for one roster only (all members but those whom the first run left out "
        "by name), and this run had another one: from the counts of both, those of single sites "
        "would follow. `consortium evaluate` counts them when all of that roster are back"
    )


def withheld_for_missing(sites: Sequence[str]) -> str:
    """Return why a sum was not opened: sites of the run are not in it."""
    return (
        f"withheld, because {_named(sites)} did not answer at the end: a sum that lacks a site of "
        "the run is not opened"
    )


def withheld_by_charter() -> str:
    """Return why no figure leaves an encrypted run."""
    return "withheld, because the charter releases no pooled figures (release_pooled)"


def withheld_by_policies() -> str:
    """Return why most sites released nothing, as far as others can know."""
    return (
        "withheld, because fewer than ten persons of a class are held out, or fewer than the "
        "sites' policies ask for (minimum_count), or because policies release no pooled figures"
    )


def nobody_or_too_few() -> str:
    """Return why a run in the clear has no figures: each site counted nobody, or too few."""
    return (
        "withheld, because each site has fewer than ten held-out records, or fewer than its "
        "policy asks for (minimum_pooled)"
    )


def _named(sites: Sequence[str]) -> str:
    return name_list(sites) if len(sites) <= _MOST_NAMED else f"{len(sites)} sites"
