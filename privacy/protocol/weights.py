"""Weight classes: a site's share in an average, in four steps and no finer.

An exact sample count repeats every round while rosters vary, and a few rounds are enough to
solve for each site's count; a class tells members no more than a band.
"""

from privacy.errors import ConsortiumError

WEIGHT_CLASSES = (1, 2, 4, 8)


class NoExamples(ConsortiumError, ValueError):
    """A site without training examples has no share in an average."""

    code = "no-examples"


def weight_class(num_examples: int, *, full_class_examples: int) -> int:
    """Return the class of a site: 8 from `full_class_examples` on, then 4, 2, 1 by halves.

    Args:
        num_examples: Training examples at the site, at least 1.
        full_class_examples: Examples that earn class 8, agreed in the charter.

    Raises:
        NoExamples: The site has none.
    """
    if num_examples < 1:
        raise NoExamples(f"a site needs at least 1 training example, got {num_examples}")
    for shift, share in enumerate(reversed(WEIGHT_CLASSES)):
        if num_examples << shift >= full_class_examples:
            return share
    return WEIGHT_CLASSES[0]
