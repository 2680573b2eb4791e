"""What pages of results say of noise: whom it protects, and how much there is."""

from collections.abc import Mapping
from typing import Any

from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words


def noise_sentences(recorded: Recorded, noise: Mapping[str, Any], *, counted: str) -> str:
    """Return what is said of figures with noise, as two sentences.

    Args:
        recorded: The run.
        noise: As `CountNoise.shown` gives it.
        counted: What is counted, as in `records in a bin`.
    """
    return (
        f"These figures have noise: every {recorded.noun} added it, which protects "
        f"{protected_people(recorded, noise)}. In the number of {counted} it has a standard error "
        f"of {words.figure(noise['deviation'])} over all {recorded.nouns}."
    )


def protected_people(recorded: Recorded, noise: Mapping[str, Any]) -> str:
    """Return whom noise protects."""
    if noise["unit"] == "record":
        return "each record"
    most = words.count(noise["most_records"])
    return f"each of the {recorded.people}, of whom at most {most} records were counted"
