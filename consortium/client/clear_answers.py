"""What a site does in a run in the clear: what it answers is bounded, rounded, and kept."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
from flwr.app import Array, Context, Message

from consortium.charter.document import Charter
from consortium.client.egress_schema import (
    IntRange,
    Parts,
    ReplyForm,
    Sizes,
    described_bytes,
    packed,
    tally,
    vector,
)
from consortium.client.mod_types import Next
from consortium.client.own_columns.answers import site_columns
from consortium.client.reply_cache import ReplyCache
from consortium.config import RunConfig
from consortium.protocol.parameters import packed_bytes
from consortium.protocol.round_counts import evaluation_step
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.compression.counts_form import pack_counts, packed_counts_bytes, unpack_counts
from privacy.layout import Tally
from privacy.policy.document import Releases
from privacy.policy.violations import NotReleased
from privacy.wire import messages
from privacy.wire.flower_records import BYTES_TYPE


class ClearAtSite:
    """The site's half of a run in the clear."""

    def reply_forms(
        self, charter: Charter, config: RunConfig, sizes: Sizes
    ) -> Mapping[str, ReplyForm]:
        """Return what may leave, by kind of question: an update or a tally, and counts."""
        shown, sent = {"released": IntRange(0, 1)}, sizes.contribution
        examples = IntRange(0 if sent.exact else 1, charter.floors.max_examples)
        counted = counted_beside = tally(sizes.evaluation)
        if sent.exact:
            summand = {"summed": tally(sent.tally_size)}
        elif config.packs_updates:
            last = config.pruning.after + 1
            lengths = (packed_bytes(config, sizes.layout, one) for one in (1, last))
            summand = {"packed": packed(*lengths)}
            counted_beside = packed(*packed_counts_bytes(sizes.evaluation))
        else:
            summand = {"update": vector(sizes.layout.dim)}
        if evaluation_step(config, charter) > 1:
            counted_beside = counted_beside.or_nothing()
        # A run that only evaluates goes by the statistics of the one that trained.
        before = ReplyForm(arrays={"tally": tally(sizes.statistics)}, facts=shown)
        return {
            **({messages.STATISTICS: before} if config.num_server_rounds else {}),
            messages.TRAIN: ReplyForm(
                arrays={**summand, "tally": counted_beside},
                facts={"num-examples": examples, **shown},
            ),
            messages.EVALUATE: ReplyForm(arrays={"tally": counted}, facts=shown),
        }

    def largest_bytes(self, charter: Charter, config: RunConfig, sizes: Sizes) -> int:
        """Return the bytes of the largest answer: a contribution, statistics, or a layout."""
        sent = sizes.contribution
        summand = 4 * sent.update_dim(sizes.layout.dim) + 8 * sent.tally_size
        counted = 8 * sizes.evaluation
        if config.packs_updates:
            summand = packed_bytes(config, sizes.layout, 1)
            counted = packed_counts_bytes(sizes.evaluation)[0]
        return max(summand + counted, 8 * sizes.statistics, described_bytes(sizes.layout))

    def require_releasable(self, site: Site, releases: Releases, kind: str, parts: Parts) -> None:
        """Check counts of one site: from enough records, or zeros; rounded.

        Raises:
            NotReleased: They are not, or the policy withholds figures of this site.
        """
        arrays, facts = parts
        # The app has rounded already. The gate checks it again: it trusts nothing behind it.
        examples = facts.get("num-examples", 0)
        if type(examples) is not int or releases.rounded_examples(examples) != examples:
            raise NotReleased("a number of examples leaves rounded only")
        if facts.get("released") == 1 and not releases.own_figures:
            raise NotReleased("the policy does not release figures of this site alone")
        if "summed" in arrays:
            _require_silent(site, releases, np.frombuffer(arrays["summed"].data, "<i8"))
        for key in {"tally", "summed"} & set(arrays):
            # Counts are withheld whole or left exact: rounded one by one, they could not be added
            # up.
            if not arrays[key].data:
                continue  # a round that asks for no counts
            counts = _counts_of(arrays[key], site)
            held = (
                site.data.train_examples
                if kind == messages.STATISTICS or key == "summed"
                else site.task.evaluation.num_examples(counts)
            )
            # Zeros may leave: an answer keeps its form, and adding them to the pool changes
            # nothing.
            if counts.any() and held < releases.minimum_pooled:
                raise NotReleased("counts leave from enough records only")

    def answer(self, site: Site, message: Message, context: Context, call_next: Next) -> Message:
        """Return what the app behind answers."""
        return call_next(message, context)

    def evaluates(self, server_round: int) -> bool:
        """Return True: the report shows the model before training, and its coordinator sees all."""
        return True

    def given_statistics(self, site: Site) -> Tally:
        """Return what this site counts now: in the clear, each run counts anew."""
        counted = site.run_config.privacy.statistics(site.task, site.data)
        return site.to_pool(counted, records=site.data.train_examples)

    def model_folder(self, site: Site, run: str) -> Path:
        """Return the site's own: the coordinator, which sees all updates, alone says what it is."""
        return SiteDirectory(site.directory).model

    def durable_answer(self, site: Site, kind: str) -> AbstractContextManager[None]:
        """Return a block that adds nothing: what it writes is synced as it is written."""
        del site, kind
        return nullcontext()

    def reply_cache(self, site: Site, stands: messages.Position) -> ReplyCache:
        """Return where the answer to a question is kept, to be given again."""
        return ReplyCache(site.directory, stands)


def _counts_of(array: Array, site: Site) -> Tally:
    """Return counts that are about to leave.

    Raises:
        NotReleased: They are packed otherwise than the product packs them, which could carry more.
        BadCompression: They are no packed counts.
    """
    if array.stype != BYTES_TYPE:
        return np.frombuffer(array.data, "<i8")
    counts = unpack_counts(array.data, site.task.evaluation.layout.size)
    if pack_counts(counts) != array.data:
        raise NotReleased("packed counts leave in one form only")
    return counts


def _require_silent(site: Site, releases: Releases, summed: Tally) -> None:
    """Check that a site whose policy shows no figures of its own says none in a Table 1.

    Raises:
        NotReleased: It does.
    """
    columns = site_columns(site)
    if columns and not releases.own_figures and columns.tells_of_a_site(summed):
        raise NotReleased("the policy does not release figures of this site alone")
