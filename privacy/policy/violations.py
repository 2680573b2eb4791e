"""What a site's policy says no to, by type: a site answers with one of these, and nothing else.

Counts are of the question and of the policy alone.
"""

from privacy.errors import ConsortiumError


class PolicyViolation(ConsortiumError, PermissionError):
    """The site's policy does not allow it."""


class TaskNotAllowed(PolicyViolation):
    """The site does not take part in this task."""


class ModelNotAllowed(PolicyViolation):
    """The site does not train this model."""


class ColumnsNotAllowed(PolicyViolation):
    """The charter reads columns that the site keeps to itself."""


class LayoutNotAllowed(PolicyViolation):
    """The vector that would leave has more numbers than allowed, or is not a named one."""


class EncryptionRequired(PolicyViolation):
    """The site takes part in encrypted runs only."""


class PrivacyRequired(PolicyViolation):
    """The site trains with differential privacy only."""


class WeakerUnit(PolicyViolation):
    """The run would protect single records, the site protects persons."""


class EpsilonTooLarge(PolicyViolation):
    """The run would lose more privacy than the site ever allows for its data."""


class CrowdTooSmall(PolicyViolation):
    """Sums might be made of fewer sites than this site asks for."""


class TooManyRounds(PolicyViolation):
    """The run has more rounds than the site answers."""


class TooManyBytes(PolicyViolation):
    """More would leave than the site allows for a message or a round."""


class TooFewExamples(PolicyViolation):
    """The site has fewer training records than it needs to take part."""


class QuestionNotAllowed(PolicyViolation):
    """The site does not answer questions of this kind."""


class OutsideHours(PolicyViolation):
    """The site answers at other hours."""


class TooOften(PolicyViolation):
    """The site was asked more often than it answers."""


class Stopped(PolicyViolation):
    """The site's operator stopped everything."""


class NotReleased(PolicyViolation):
    """Something else was about to leave than the closed list of what may."""
