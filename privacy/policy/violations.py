"""Policy violations: one error class for each reason to refuse.

A site answers with one of these and nothing else. Their counts describe the question and the
policy only, never the records.
"""

from privacy.errors import ConsortiumError


class PolicyViolation(ConsortiumError, PermissionError):
    """The site's policy does not allow it."""

    code = "policy-violation"


class TaskNotAllowed(PolicyViolation):
    """The site does not take part in this task."""

    code = "task-not-allowed"


class ModelNotAllowed(PolicyViolation):
    """The site does not train this model."""

    code = "model-not-allowed"


class ColumnsNotAllowed(PolicyViolation):
    """The charter reads columns that the policy does not allow."""

    code = "columns-not-allowed"


class LayoutNotAllowed(PolicyViolation):
    """The vector has more numbers than allowed, or its layout is not an allowed one."""

    code = "layout-not-allowed"


class EncryptionRequired(PolicyViolation):
    """The site takes part in encrypted runs only."""

    code = "encryption-required"


class PrivacyRequired(PolicyViolation):
    """The site trains with differential privacy only."""

    code = "privacy-required"


class WeakerUnit(PolicyViolation):
    """The run would protect single records, the site protects persons."""

    code = "weaker-unit"


class EpsilonTooLarge(PolicyViolation):
    """The run would cost more privacy than the site ever allows for its data."""

    code = "epsilon-too-large"


class CrowdTooSmall(PolicyViolation):
    """Sums could hold fewer sites than this site requires."""

    code = "crowd-too-small"


class TooManyRounds(PolicyViolation):
    """The run has more rounds than the site allows."""

    code = "too-many-rounds"


class TooManyBytes(PolicyViolation):
    """More bytes would leave than the site allows in a message or a round."""

    code = "too-many-bytes"


class TooFewExamples(PolicyViolation):
    """The site has fewer training records than it needs to take part."""

    code = "too-few-examples"


class QuestionNotAllowed(PolicyViolation):
    """The site does not answer questions of this kind."""

    code = "question-not-allowed"


class OutsideHours(PolicyViolation):
    """The site answers at other hours."""

    code = "outside-hours"


class TooOften(PolicyViolation):
    """The site was asked more often than it answers."""

    code = "too-often"


class Stopped(PolicyViolation):
    """The site's operator stopped everything."""

    code = "stopped"


class NotReleased(PolicyViolation):
    """Something was about to leave that is not on the list of what may leave."""

    code = "not-released"
