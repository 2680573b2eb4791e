"""What a person is told before a run: what its rule survives, and who will lie."""

from collections.abc import Iterator

from consortium.config import RunConfig
from consortium.protocol.robustness_estimate import in_words, protection_of
from consortium.site.site import model_plan
from scenarios.attacks.assignment import Lies
from scenarios.scenario import Scenario
from sites.tasks.registry import task_for


def before_the_run(scenario: Scenario, config: RunConfig, lies: Lies) -> Iterator[str]:
    """Yield the lines that stand before a run; none where nobody lies and none is expected.

    Raises:
        ConsortiumError: The rule could not keep its promise in this run.
    """
    expected = config.rule.num_byzantine or config.rule.name != "mean" or config.buckets > 1
    if expected or lies.attacks:
        plan = model_plan(config, scenario.table)
        task = task_for(scenario.task, scenario.table, plan, seed=config.seed)
        yield in_words(protection_of(config, scenario.charter, dim=task.layout.dim))
    for site in lies.attacks:
        yield f"{site} {lies.attack_of(site).what}"
    if len(lies.attacks) > config.rule.num_byzantine:
        yield (
            f"{len(lies.attacks)} lie and the rule is told of {config.rule.num_byzantine}: "
            "nothing is promised"
        )
