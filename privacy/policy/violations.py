"""Policy violations: one error class for each reason to refuse.

A site answers with one of these and nothing else. Their counts describe the question and the
policy only, never the records.
"""

from privacy.errors import ConsortiumError


class PolicyViolation(ConsortiumError, PermissionError, code="policy-violation"):
    """The site's policy does not allow it."""


class TaskNotAllowed(PolicyViolation, code="task-not-allowed"):
    """The site does not take part in this task."""


class LearnerNotAllowed(PolicyViolation, code="learner-not-allowed"):
    """The site does not train, or count, in this way."""


class ModelNotAllowed(PolicyViolation, code="model-not-allowed"):
    """The site does not train this model."""


class ColumnsNotAllowed(PolicyViolation, code="columns-not-allowed"):
    """The charter reads columns that the policy does not allow."""


class LayoutNotAllowed(PolicyViolation, code="layout-not-allowed"):
    """The vector has more numbers than allowed, or its layout is not an allowed one."""


class EncryptionRequired(PolicyViolation, code="encryption-required"):
    """The site takes part in encrypted runs only."""


class PrivacyRequired(PolicyViolation, code="privacy-required"):
    """The site trains with differential privacy only."""


class WeakerUnit(PolicyViolation, code="weaker-unit"):
    """The run would protect single records, the site protects persons."""


class EpsilonTooLarge(PolicyViolation, code="epsilon-too-large"):
    """The run would cost more privacy than the site ever allows for its data."""


class CrowdTooSmall(PolicyViolation, code="crowd-too-small"):
    """Sums could hold fewer sites than this site requires."""


class TooManyRounds(PolicyViolation, code="too-many-rounds"):
    """The run has more rounds than the site allows."""


class TooManyEvaluations(PolicyViolation, code="too-many-evaluations"):
    """A run would be evaluated more often than the site allows."""


class EvaluatedBefore(PolicyViolation, code="evaluated-before"):
    """A round was evaluated before, from another state or other records."""


class TooManyBytes(PolicyViolation, code="too-many-bytes"):
    """More bytes would leave than the site allows in a message or a round."""


class TooFewExamples(PolicyViolation, code="too-few-examples"):
    """The site has fewer training records than it needs to take part."""


class QuestionNotAllowed(PolicyViolation, code="question-not-allowed"):
    """The site does not answer questions of this kind."""


class OutsideHours(PolicyViolation, code="outside-hours"):
    """The site answers at other hours."""


class TooOften(PolicyViolation, code="too-often"):
    """The site was asked more often than it answers."""


class Stopped(PolicyViolation, code="stopped"):
    """The site's operator stopped everything."""


class NotReleased(PolicyViolation, code="not-released"):
    """Something was about to leave that is not on the list of what may leave."""
