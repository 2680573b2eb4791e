"""ClientApp of a malicious site: the product's app with one mod inside its encryption.

A scenario runs it in place of the product's app. An omniscient attacker computes what the honest
sites send by training on their records, which are on the same machine. Between institutions that
is impossible: it is the worst case, not a forecast.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from flwr.app import Context, Message, RecordDict

from consortium.client.mod_types import Next
from consortium.client_app import client_app
from consortium.protocol.aggregation import rule_at, rule_spec, voters
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.parameters import pruned_plan, update_form
from consortium.run.directory import RunDirectory
from consortium.site.site import Site, site_of
from privacy.compression.update_form import UpdateForm
from privacy.layout import Matrix, Vector
from privacy.wire import messages
from scenarios.attacks.assignment import AttackAssignment
from scenarios.attacks.registry import Attack, AttackContext
from scenarios.attacks.tuned_lies import Aggregate
from strategies.model_state import State

_CACHED_ROUNDS = 2
_DRAWS = 4  # of buckets, over which a liar averages


def malicious_mod(message: Message, context: Context, call_next: Next) -> Message:
    """Alter a liar's reply to a training request; pass every other reply on unchanged.

    Guarantee: the altered reply has a valid format: only its values are hostile.
    """
    run = RunDirectory.from_environment()
    assignment, site = AttackAssignment.read(run), site_of(context)
    name = site.config.name
    if message.metadata.message_type != messages.TRAIN or name not in assignment.malicious_senders:
        return call_next(message, context)
    position = _read_position(site, message.content)
    answer = call_next(message, context)
    attack = assignment.attack_of(name)
    if attack.lie is None:
        return answer
    sent = _read_contribution(site, position, answer.content)
    honest = _visible_updates(attack, run, assignment, position, context)
    reply = attack.lie(
        AttackContext(
            own=np.asarray(sent.update, np.float64),
            num_examples=sent.num_examples,
            max_examples=site.charter.floors.max_examples,
            n_sites=len(site.charter.names),
            num_liars=len(assignment.attacks),
            honest=honest,
            aggregate=_known_aggregation(site, position, honest),
            rng=assignment.rng(name, position.server_round),
        )
    )
    altered = replace(sent, update=reply.update, num_examples=reply.num_examples)
    return Message(messages.contribution(_packed(site, position, altered)), reply_to=message)


app = client_app(malicious_mod)


def _visible_updates(
    attack: Attack,
    run: RunDirectory,
    assignment: AttackAssignment,
    position: messages.Position,
    context: Context,
) -> Matrix:
    """Return the updates of the honest sites, shape (n_honest, dim), if the attack sees them."""
    if not attack.omniscient:
        return np.zeros((0, position.state.size))
    names = site_of(context).charter.names
    # Hashable arguments throughout, for the cache.
    return _honest_updates(
        tuple(str(run.site(name)) for name in names if name not in assignment.attacks),
        tuple(sorted(context.run_config.items())),
        position.server_round,
        position.state.astype("<f8").tobytes(),
        position.statistics.tobytes(),
    )


def _known_aggregation(site: Site, position: messages.Position, honest: Matrix) -> Aggregate:
    """Return how the run aggregates a round, as far as a liar knows it.

    It knows the rule, and how many bucket means the rule sees under encryption, but not who is in
    which: it goes by some draws of its own. For the last aggregate, from which some rules start,
    it takes the honest mean. What encryption cuts off it leaves out.
    """
    config, n_sites = site.run_config, len(site.charter.names)
    spec, groups = rule_spec(config, site.charter), voters(config, site.charter)
    rng = np.random.default_rng(position.server_round)
    orders = [rng.permutation(n_sites) for _ in range(_DRAWS if groups < n_sites else 1)]

    def aggregate(updates: Matrix) -> Vector:
        state = State(
            server_round=position.server_round - 1,
            vector=np.asarray(position.state, np.float64),
            memory=honest.mean(axis=0) if spec.needs_memory else None,
        )
        rule = rule_at(config, spec)(state)
        votes = [
            np.stack([group.mean(axis=0) for group in np.array_split(updates[order], groups)])
            for order in orders
        ]
        results = [rule(means, np.ones(groups)) for means in votes]
        mean: Vector = np.sum(results, axis=0) / len(results)
        return mean

    return aggregate


@lru_cache(maxsize=_CACHED_ROUNDS)
def _honest_updates(
    directories: tuple[str, ...],
    run_config: tuple[tuple[str, str | int | float | bool], ...],
    server_round: int,
    state: bytes,
    statistics: bytes,
) -> Matrix:
    """Return what the honest sites send in a round; cached, as all liars need it.

    Exactly that, unless updates are compressed: what a site leaves for later, a liar cannot know.
    """
    vector, pooled = np.frombuffer(state, "<f8"), np.frombuffer(statistics, np.int64)
    rows = []
    for directory in directories:
        context = Context(0, 0, {"site-dir": directory}, RecordDict(), dict(run_config))
        site = site_of(context)
        # The site's own generator of this round: the same batches, so the same update.
        rng = site.rng(server_round)
        plan = pruned_plan(site.run_config, site.run_config.training, vector, server_round)
        rows.append(site.task.train(site.data, pooled, vector, plan, rng=rng).update)
    return np.stack(rows)


def _read_position(site: Site, record: RecordDict) -> messages.Position:
    return messages.read_position(
        record,
        dim=site.task.layout.dim,
        statistics_size=site.task.statistics.layout.size,
        bins_size=len(bin_steps(site.run_config, site.charter).first),
    )


def _form(site: Site, position: messages.Position) -> UpdateForm | None:
    return update_form(site.run_config, site.task.layout, position.state, position.server_round)


def _packed(
    site: Site, position: messages.Position, sent: messages.Contribution
) -> messages.Contribution:
    form = _form(site, position)
    return sent if form is None else replace(sent, packed=form.write(sent.update))


def _read_contribution(
    site: Site, position: messages.Position, record: RecordDict
) -> messages.Contribution:
    return messages.read_contribution(
        record,
        dim=site.task.layout.dim,
        tally_size=site.task.evaluation.layout.size,
        max_examples=site.charter.floors.max_examples,
        form=_form(site, position),
    )
