"""The app of a site that lies: the product's, with one mod inside its seal.

A scenario stages it in the place of the product's app. An omniscient liar learns what the
honest sites send by training on their records, which lie beside it on the same laptop; across
institutions nobody could, so it is the worst case and not a forecast.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from flwr.app import Context, Message, RecordDict

from consortium.client.mods import Next
from consortium.client_app import client_app
from consortium.run.directory import RunDirectory
from consortium.site.site import Site, site_of
from privacy.layout import Matrix
from privacy.wire import messages
from scenarios.attacks.assignment import AttackAssignment
from scenarios.attacks.registry import Attack, AttackContext

_CACHED_ROUNDS = 2


def malicious_mod(message: Message, context: Context, call_next: Next) -> Message:
    """Alter what a liar answers to training; everybody else's answer passes as it is.

    Guarantee: the altered answer is one that the wire carries: only its values are hostile.
    """
    run = RunDirectory.from_environment()
    lies, site = AttackAssignment.read(run), site_of(context)
    name = site.config.name
    if message.metadata.message_type != messages.TRAIN or name not in lies.answering:
        return call_next(message, context)
    stands = _position(site, message.content)
    sent = _contribution(site, call_next(message, context).content)
    attack = lies.attack_of(name)
    if attack.lie is None:
        return Message(messages.contribution(sent), reply_to=message)
    told = attack.lie(
        AttackContext(
            own=np.asarray(sent.update, np.float64),
            num_examples=sent.num_examples,
            max_examples=site.charter.floors.max_examples,
            n_sites=len(site.charter.names),
            num_liars=len(lies.attacks),
            honest=_seen(attack, run, lies, stands, context),
            rng=lies.rng(name, stands.server_round),
        )
    )
    altered = replace(sent, update=told.update, num_examples=told.num_examples)
    return Message(messages.contribution(altered), reply_to=message)


app = client_app(malicious_mod)


def _seen(
    attack: Attack,
    run: RunDirectory,
    lies: AttackAssignment,
    stands: messages.Position,
    context: Context,
) -> Matrix:
    """Return the updates of the honest sites, shape (n_honest, dim), if the attack sees them."""
    if not attack.omniscient:
        return np.zeros((0, stands.state.size))
    names = site_of(context).charter.names
    return _honest_updates(
        tuple(str(run.site(name)) for name in names if name not in lies.attacks),
        tuple(sorted(context.run_config.items())),
        stands.server_round,
        stands.state.astype("<f8").tobytes(),
        stands.statistics.tobytes(),
    )


@lru_cache(maxsize=_CACHED_ROUNDS)
def _honest_updates(
    directories: tuple[str, ...],
    run_config: tuple[tuple[str, str | int | float | bool], ...],
    server_round: int,
    state: bytes,
    statistics: bytes,
) -> Matrix:
    """Return what honest sites send in a round, to the last bit; computed once for all liars."""
    vector, pooled = np.frombuffer(state, "<f8"), np.frombuffer(statistics, np.int64)
    rows = []
    for directory in directories:
        context = Context(0, 0, {"site-dir": directory}, RecordDict(), dict(run_config))
        site = site_of(context)
        rng = site.rng(server_round)
        rows.append(
            site.task.train(site.data, pooled, vector, site.run_config.training, rng=rng).update
        )
    return np.stack(rows)


def _position(site: Site, record: RecordDict) -> messages.Position:
    return messages.read_position(
        record, dim=site.task.layout.dim, statistics_size=site.task.statistics.layout.size
    )


def _contribution(site: Site, record: RecordDict) -> messages.Contribution:
    return messages.read_contribution(
        record,
        dim=site.task.layout.dim,
        tally_size=site.task.evaluation.layout.size,
        max_examples=site.charter.floors.max_examples,
    )
