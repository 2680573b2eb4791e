"""The ClientApp: what a site answers, behind the mods."""

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from consortium.export import write_model
from consortium.mods import typed_refusals
from consortium.site import Site, site_of
from privacy import messages

torch.set_num_threads(1)  # one thread a site: two share a core worse than one

app = ClientApp(mods=[typed_refusals])


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Say who this site is, what it signed and what it would train."""
    site = site_of(context)
    site.require_charter(messages.read_question(message.content))
    said = messages.Introduction(
        site=site.config.name,
        charter=site.charter.fingerprint,
        layout=site.task.layout,
        num_examples=site.data.train_examples,
    )
    return Message(messages.introduction(said), reply_to=message)


@app.query("statistics")
def statistics(message: Message, context: Context) -> Message:
    """Count the training records, for the constants all sites will scale by."""
    site = site_of(context)
    site.require_charter(messages.read_question(message.content))
    counted = messages.Counts(
        tally=site.task.statistics_of(site.data), released=site.releases_statistics()
    )
    return Message(messages.counts(counted), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train from the received state, and evaluate that state on held-out persons."""
    site = site_of(context)
    stands = _position(site, message)
    vector = stands.state.astype("float64")
    tally = site.task.evaluate(site.data, stands.statistics, vector)
    trained = site.task.train(
        site.data, stands.statistics, vector, site.plan, rng=site.rng(stands.server_round)
    )
    sent = messages.Contribution(
        update=trained.update,
        num_examples=trained.num_examples,
        tally=tally,
        released=site.releases(tally),
    )
    return Message(messages.contribution(sent), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the final state on held-out persons, and keep the model at the site."""
    site = site_of(context)
    stands = _position(site, message)
    vector = stands.state.astype("float64")
    write_model(site, stands.statistics, vector)
    tally = site.task.evaluate(site.data, stands.statistics, vector)
    counted = messages.Counts(tally=tally, released=site.releases(tally))
    return Message(messages.counts(counted), reply_to=message)


def _position(site: Site, message: Message) -> messages.Position:
    stands = messages.read_position(
        message.content,
        dim=site.task.layout.dim,
        statistics_size=site.task.statistics.layout.size,
    )
    site.require_charter(stands.charter)
    return stands
