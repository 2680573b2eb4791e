"""The ClientApp: what a site answers, behind the mods."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from consortium.audit import journal as audit
from consortium.client.audit_trail import journal_of
from consortium.client.bucket_draw import commit, draw, reveal
from consortium.client.comparison.announcing import announce_run
from consortium.client.comparison.witnesses import attest_others, compare_ledger
from consortium.client.encrypted.answers import read_round
from consortium.client.encrypted.session import AnotherFinalState
from consortium.client.greeting_proofs import proven_introduction
from consortium.client.masked.answers import accept_secrets, confirm, offer_key, pair
from consortium.client.mod_types import Mod, Next
from consortium.client.mods import gate_messages, seal_messages, typed_refusals
from consortium.client.news import news_of
from consortium.client.private_training import training_of
from consortium.client.site_ledger import enter_evaluation
from consortium.client.site_modes import at_site, encrypted_at_site
from consortium.model.provisional import confirm_model, discard_model, provisional_mistakes
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.learning import learner_of, require_exact_sums
from consortium.protocol.parameters import update_form
from consortium.protocol.round_counts import asks_for_counts
from consortium.site.directory import SiteDirectory
from consortium.site.key_ring import KeyRing, member_at
from consortium.site.person_sides import end_run
from consortium.site.record_check import open_alarms, require_unalarmed
from consortium.site.site import Site, site_of
from privacy.compression.codecs import Numbers
from privacy.layout import Tally, Vector
from privacy.wire import comparison_messages, messages
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.flower_records import MalformedRecord
from sites.evaluation.score_bins import ScoreBins

_LOG = logging.getLogger(__name__)


def hello(message: Message, context: Context) -> Message:
    """Say who this site is, what it signed and what it would train."""
    site = site_of(context)
    charter, challenge = messages.read_greeting(message.content)
    site.require_charter(charter)
    _tell_empty_sides(site)
    said = messages.Introduction(
        site=site.config.name,
        charter=site.fingerprint,
        layout=site.task.layout,
        num_examples=site.introduced_examples(site.data.train_examples),
    )
    proven = proven_introduction(site, said, challenge, context)
    proven = replace(proven, announcement=announce_run(site))
    return Message(messages.introduction(proven), reply_to=message)


def _tell_empty_sides(site: Site) -> None:
    """Tell the operator, in the site's log, that a side has nobody: few persons, or unlucky."""
    if not site.data.train_examples:
        _LOG.warning(
            "nobody is trained on: all persons of this site are held out, so what it sends changes "
            "nothing in the sum"
        )
    if not site.data.held_out_examples:
        _LOG.warning(
            "nobody is held out: this site judges no model until new persons come, and adds an "
            "empty tally to the others'"
        )


def attest(message: Message, context: Context) -> Message:
    """Say what this site holds of the other members, and hold what they announce."""
    site = site_of(context)
    charter, announced = comparison_messages.read_announcements(message.content)
    site.require_charter(charter)
    return Message(
        comparison_messages.attestations(attest_others(site, announced)), reply_to=message
    )


def compare(message: Message, context: Context) -> Message:
    """Compare this site's ledger with what the other members hold of it."""
    site = site_of(context)
    charter, held = comparison_messages.read_comparison(message.content)
    site.require_charter(charter)
    compare_ledger(site, held)
    return Message(comparison_messages.compared(), reply_to=message)


def statistics(message: Message, context: Context) -> Message:
    """Count the training records, for the constants all sites will scale by.

    With private training nothing is counted: zeros leave, and numbers are scaled by the bounds
    that the charter declares.
    """
    site = site_of(context)
    site.require_charter(messages.read_question(message.content))
    training_of(site.run_config).enter_statistics(site, context.run_id)
    counted = site.run_config.privacy.statistics(site.task, site.data)
    tally = site.to_pool(counted, records=site.data.train_examples)
    released = bool(tally.any()) and site.releases_statistics()
    sent = messages.Counts(tally=tally, released=released)
    return Message(messages.counts(sent), reply_to=message)


def train(message: Message, context: Context) -> Message:
    """Do what the learner does in a round, and evaluate the received state on held-out persons.

    An encrypted run does not evaluate S(0), and says zeros of it. In a triggered run a site that
    has nothing new does neither, and says so.

    Guarantee: asked again, as after the death of the coordinator, the site answers the same and
    does not train again. Under encryption the session sees to that.
    """
    site = site_of(context)
    stands = _position(site, message)
    kept = at_site(site.run_config).reply_cache(site, stands)
    sent = kept.recall() if kept else None
    if sent is None:
        news = news_of(site, stands)
        sent, left = _contribution(site, stands), None
        if kept:
            sent, left = _packed(site, stands, sent, kept.memory)
            sent = kept.keep(sent, left)
        # After the answer: a site that dies in between is asked again, and answers the same.
        news.keep()
    return Message(messages.contribution(sent), reply_to=message)


def _packed(
    site: Site,
    stands: messages.Position,
    sent: messages.Contribution,
    memory: Callable[[], Numbers | None],
) -> tuple[messages.Contribution, Numbers | None]:
    """Return a contribution in the form in which its update travels, and what it leaves.

    Under private training both are made of updates that have their noise already.
    """
    config, layout = site.run_config, site.task.layout
    form = update_form(config, layout, stands.state, stands.server_round)
    if form is None:
        return sent, None
    packed = form.pack(sent.update, memory())
    return replace(sent, update=np.zeros(0, np.float32), packed=packed.data), packed.left


def _check_records(site: Site, stands: messages.Position) -> None:
    """Compare this site's records with the others' counts; what is found stays here.

    Raises:
        CheckAlarm: Something alarming is found, the run says `hold`, and the operator did not say
            that it is right.
    """
    if not site.run_config.looks_at_records:
        return
    given = partial(at_site(site.run_config).given_statistics, site)
    check = require_unalarmed(site, stands.statistics, given, first=stands.server_round <= 1)
    alarms = open_alarms(site.directory, check.findings)
    if alarms and stands.server_round <= 1:
        _LOG.warning(
            "%s wrong beside the others': `consortium site preview` shows why",
            "a column looks" if len(alarms) == 1 else "some columns look",
        )


def _contribution(site: Site, stands: messages.Position) -> messages.Contribution:
    require_exact_sums(site.run_config, site.charter)
    _check_records(site, stands)
    site.task.prepare()
    tally = _counts_of_round(site, stands)
    trained = training_of(site.run_config).train(site, stands)
    learner_of(site.charter, site.run_config).contribution.check(trained.summed, sites=1)
    return messages.Contribution(
        update=trained.update,
        num_examples=site.told_examples(trained.num_examples),
        tally=tally,
        released=bool(tally.size) and site.releases(tally),
        summed=_tally_to_pool(site, trained.summed),
    )


def _counts_of_round(site: Site, stands: messages.Position) -> Tally:
    """Return the evaluation counts of the received state; none if the round does not ask."""
    if not asks_for_counts(site.run_config, site.charter, stands.server_round):
        return np.zeros(0, np.int64)
    if not at_site(site.run_config).evaluates(stands.server_round):
        return np.zeros(site.task.evaluation.layout.size, np.int64)
    return _evaluation_counts(site, stands, stands.state.astype("float64"))


def _tally_to_pool(site: Site, summed: Tally) -> Tally:
    """Return a tally as it may leave; noise protects whom it counts, however few they are.

    Zeros in its place would tell that they are few.
    """
    if site.run_config.privacy.offered is not None:
        return summed
    return site.to_pool(summed, records=site.data.train_examples)


def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the final state on held-out persons, and keep the model at the site.

    If the site's own policy asks for them, held-out texts that the model reads wrongly are kept
    there too; they are part of no answer.
    """
    site = site_of(context)
    stands = _position(site, message)
    _check_records(site, stands)
    site.task.prepare()
    vector = stands.state.astype("float64")
    # First: a second evaluation of the round is refused before it takes the place of a model.
    tally = _evaluation_counts(site, stands, vector)
    if not site.run_config.evaluate_model:
        _keep_model(site, message, stands)
    counted = messages.Counts(tally=tally, released=site.releases(tally))
    return Message(messages.counts(counted), reply_to=message)


def _keep_model(site: Site, message: Message, stands: messages.Position) -> None:
    # no other answer needs them
    from consortium.model.files import write_mistakes, write_model
    from consortium.model.personal import keep_personal_model

    vector = stands.state.astype("float64")
    folder = at_site(site.run_config).model_folder(site, stands.run)
    write_model(site, stands.statistics, vector, folder)
    confirmed = folder == SiteDirectory(site.directory).model
    mistakes = None if confirmed else provisional_mistakes(site.directory, stands.run)
    write_mistakes(site, stands.statistics, vector, mistakes)
    keep_personal_model(site, stands.statistics, vector, folder, server_round=stands.server_round)
    training_of(site.run_config).end(site, stands)
    kept = at_site(site.run_config).reply_cache(site, stands)
    if kept and site.run_config.packs_updates:
        kept.end_run()
    end_run(site.directory, site.run_config)
    if confirmed:
        _note_model(site, message)


def epoch(message: Message, context: Context) -> Message:
    """Say which epoch secret this site goes by."""
    site = site_of(context)
    held = _member(site, messages.read_question(message.content)).held_epoch()
    return Message(sealed_messages.held_epoch(*held), reply_to=message)


def rotate(message: Message, context: Context) -> Message:
    """Make a fresh epoch secret, for the other members to be delivered."""
    site = site_of(context)
    charter, last = sealed_messages.read_rotation_request(message.content)
    made = _member(site, charter).rotate(last)
    return Message(sealed_messages.deliveries(made), reply_to=message)


def deliver(message: Message, context: Context) -> Message:
    """Accept an epoch secret that another member made."""
    site = site_of(context)
    charter, encoded = sealed_messages.read_delivery(message.content)
    held = _member(site, charter).accept(encoded)
    return Message(sealed_messages.held_epoch(*held), reply_to=message)


def open_(message: Message, context: Context) -> Message:
    """Open an encrypted run with a fresh key."""
    site = site_of(context)
    opening = encrypted_at_site(site.run_config).open_run(site, message.content)
    return Message(sealed_messages.opening(opening), reply_to=message)


def release(message: Message, context: Context) -> Message:
    """Confirm the model, then open the pooled counts of the last evaluation if they are released.

    Guarantee: the run's model becomes the site's model only if more than half of the run's sites
    signed the state that it is of. A model of another state is deleted.
    """
    site = site_of(context)
    request = read_round(site, message)
    session = encrypted_at_site(site.run_config).session(site, request)
    run = session.terms.opened.run
    try:
        session.require_final_state(request)
    except AnotherFinalState:
        discard_model(site.directory, run)
        raise
    # Before the counts: a member that spoils its part of them does not keep the model back.
    if confirm_model(site.directory, run):
        _note_model(site, message)
    reply = sealed_messages.SealedReply(released=session.released_tally(request))
    session.finish_run()
    return Message(reply.content(), reply_to=message)


def _note_model(site: Site, message: Message) -> None:
    journal = journal_of(site.directory, site.config.name)
    journal.note(audit.EXPORTED, run=str(message.metadata.run_id), what="model")


def _member(site: Site, charter: str) -> KeyRing:
    site.require_charter(charter)
    return member_at(site.directory, site.config.name, site.charter)


def _evaluation_counts(site: Site, stands: messages.Position, vector: Vector) -> Tally:
    """Return the evaluation counts as they may leave, to be pooled; they are in the ledger then."""
    enter_evaluation(site, stands)
    bins = ScoreBins(stands.score_bins)
    counted = site.task.evaluate(site.data, stands.statistics, vector, bins)
    site.keep_count_of_period(counted, stands.score_bins)
    tally = site.groups_to_pool(counted)
    return site.to_pool(tally, records=site.task.evaluation.num_examples(tally))


def _position(site: Site, message: Message) -> messages.Position:
    stands = messages.read_position(
        message.content,
        dim=site.task.layout.dim,
        statistics_size=site.task.statistics.layout.size,
        bins_size=len(bin_steps(site.run_config, site.charter).first),
    )
    site.require_charter(stands.charter)
    # A signalling NaN makes NumPy warn when it is converted, before anything else looks at it.
    if not np.isfinite(stands.state).all():
        raise MalformedRecord("the received state holds values that are not finite numbers")
    return stands


_QUERIES: Mapping[str, Next] = MappingProxyType(
    {
        "hello": hello,
        "attest": attest,
        "compare": compare,
        "statistics": statistics,
        "epoch": epoch,
        "rotate": rotate,
        "deliver": deliver,
        "commit": commit,
        "reveal": reveal,
        "draw": draw,
        "pair_keys": offer_key,
        "open": open_,
        "pair": pair,
        "pair_secrets": accept_secrets,
        "confirm": confirm,
        "release": release,
    }
)


def client_app(*innermost: Mod) -> ClientApp:
    """Return the app of a site, with mods of the caller's closest to the learning, if any.

    Guarantee: `innermost` see every message in the clear, in either mode, and what they return
    is sealed like any answer; the product itself has none.
    """
    made = ClientApp(mods=[gate_messages, typed_refusals, seal_messages, *innermost])
    for name, answer in _QUERIES.items():
        made.query(name)(answer)
    made.train()(train)
    made.evaluate()(evaluate)
    return made


app = client_app()
