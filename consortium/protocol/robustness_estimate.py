"""What a run's rule survives, and what it costs: known before the first round, and recorded."""

import math

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.registry import mode_of
from consortium.protocol.aggregation import rule_spec, smallest_consortium, smallest_voters, voters
from consortium.protocol.parameters import optimizer_for
from consortium.run.records import Protection

WATCHED_ROUNDS = 20


def protection_of(config: RunConfig, charter: Charter, *, dim: int) -> Protection:
    """Return what a run's rule survives among these members, and what it costs.

    Args:
        config: The coordinator's choices.
        charter: The members and their limits.
        dim: Numbers in the model that travels.

    Raises:
        ConsortiumError: The rule could not keep its promise, as `rule_spec` says.
    """
    spec = rule_spec(config, charter)
    came, needed = voters(config, charter), smallest_voters(config)
    members, buckets = len(charter.names), mode_of(config).buckets(config)
    return Protection(
        rule=spec.name,
        pre_step=config.rule.pre_step,
        claim=spec.breakdown,
        liars=config.rule.num_byzantine,
        only_bounds=spec.only_bounds,
        voters=came,
        voters_needed=needed,
        smallest_consortium=smallest_consortium(config, charter),
        buckets=buckets,
        # The smallest bucket: sites are spread evenly, and some buckets have one more.
        crowd=members // buckets if buckets else 0,
        fixed_shows=shown_by_fixed(members, buckets) if buckets else 1.0,
        reshuffled_shows=shown_by_reshuffling(members, buckets, rounds=WATCHED_ROUNDS)
        if buckets
        else 1.0,
        bytes_down_per_site=bytes_down(config, charter, dim=dim),
    )


def bytes_down(config: RunConfig, charter: Charter, *, dim: int) -> int:
    """Return the bytes of model and sums that a site downloads in a round, from the second on."""
    needs_memory = rule_spec(config, charter).needs_memory
    # Under encryption the state travels whole: the model, the moments, the rule's memory.
    vectors = 1 + len(optimizer_for(config).init(1)) + needs_memory
    return mode_of(config).bytes_down(config, charter, dim=dim, vectors=vectors)


def shown_by_fixed(num_sites: int, buckets: int) -> float:
    """Return how far a bucket's mean, however many rounds, shows one site's own direction.

    The correlation, if sites differ by independent directions of one length: the others in the
    bucket stand in it for good.
    """
    return math.sqrt(buckets / num_sites)


def shown_by_reshuffling(num_sites: int, buckets: int, *, rounds: int) -> float:
    """Return how far bucket means, drawn anew each round, would show one site's own direction.

    The correlation with the mean of the buckets it was in, less the mean of all: the others
    average out with the rounds, which is why buckets are fixed for a run. Sites differ by
    independent directions of one length, and from round to round by noise of the same length.
    """
    crowd = num_sites / buckets
    own = 1 / crowd - 1 / num_sites
    if own == 0:
        return 0.0
    others = num_sites - 1
    beside = (crowd - 1) / others
    who = others * beside * (1 - beside) / crowd**2
    noise = own**2 + others * (
        beside / crowd**2 - 2 * beside / (crowd * num_sites) + 1 / num_sites**2
    )
    return own / math.sqrt(own**2 + (who + noise) / rounds)


def in_words(protection: Protection) -> str:
    """Return what a person must know before a run, in a few sentences."""
    said = [_promise(protection)]
    if protection.buckets > 1:
        said.append(
            f"{protection.crowd} sites or more in each of {protection.buckets} buckets; the "
            f"buckets stay for the run (fixed they show a site's own direction with correlation "
            f"{protection.fixed_shows:.2f}, re-shuffled for {WATCHED_ROUNDS} rounds they would "
            f"with {protection.reshuffled_shows:.2f})"
        )
        said.append(
            "a hostile value inside a ciphertext cannot be seen, only bounded and out-voted"
        )
    said.append(
        f"a site downloads {protection.bytes_down_per_site:,} bytes a round; smallest consortium "
        f"that would do: {protection.smallest_consortium}"
    )
    return "; ".join(said)


def _promise(protection: Protection) -> str:
    name = protection.rule
    if protection.pre_step != "none":
        name = f"{protection.pre_step} with {name}"
    if not protection.liars:
        return f"{name}: no liar is expected, and nothing is promised against one"
    kind = "bucket means" if protection.buckets else "sites"
    liars = "1 liar" if protection.liars == 1 else f"{protection.liars} liars"
    verb = "bounds what is done by" if protection.only_bounds else "survives"
    return (
        f"{name} over {protection.voters} {kind} {verb} {liars} ({protection.claim}); "
        f"{protection.spare} {kind} may be missing in a round{_stop_warning(protection)}"
    )


def _stop_warning(protection: Protection) -> str:
    if not protection.can_be_stopped:
        return ""
    return (
        ": a liar that sends nothing, or what is no number, does not spoil the model and can "
        "stop the run"
    )
