"""What a site answers in an encrypted run: which parts, of what size, by kind of question."""

from consortium.charter.document import Charter
from consortium.client.egress_schema import (
    ArrayForm,
    IntRange,
    ReplyForm,
    Sizes,
    ciphertexts,
    opaque,
    tally,
)
from consortium.config import RunConfig
from consortium.protocol.parameters import count_placement, optimizer_for, update_placement
from consortium.protocol.round_counts import evaluation_step, round_counts
from privacy.canonical import DIGEST_SIZE, MAX_NUMBER
from privacy.protocol.bucket_draw import MAX_COMMITMENT_BYTES, SHARE_SIZE
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES
from privacy.wire import draw_messages, messages
from privacy.wire import encrypted_messages as sealed_messages
from sites.evaluation.score_bins import ENCODED_BYTES

LARGEST_ROUND = 1  # no upload is longer than the first one

_STATE_OVERHEAD = 8_192
_LINK = 32  # bytes a round, in a sealed state


def key_forms(charter: Charter) -> dict[str, ReplyForm]:
    """Return the answers by which keys, buckets and runs are agreed, before the first count."""
    held = ReplyForm(
        arrays={"fingerprint": opaque(DIGEST_SIZE)}, facts={"epoch": IntRange(0, MAX_NUMBER)}
    )
    others = len(charter.members) * (MAX_ENVELOPE_BYTES + 256)
    commitments = 64 + len(charter.members) * (MAX_COMMITMENT_BYTES + 256)
    return {
        sealed_messages.EPOCH: held,
        sealed_messages.DELIVER: held,
        sealed_messages.ROTATE: ReplyForm(arrays={"deliveries": opaque(others)}),
        draw_messages.COMMIT: ReplyForm(
            arrays={"commitments": opaque(commitments, least=1)}, facts={"drawn": IntRange(0, 1)}
        ),
        draw_messages.REVEAL: ReplyForm(arrays={"share": opaque(SHARE_SIZE, least=SHARE_SIZE)}),
        draw_messages.DRAW: ReplyForm(),
        sealed_messages.OPEN: ReplyForm(
            arrays={"opening": opaque(sealed_messages.MAX_OPENING_BYTES, least=1)}
        ),
    }


def sealed_forms(charter: Charter, config: RunConfig, sizes: Sizes) -> dict[str, ReplyForm]:
    """Return the answers of an opened run: ciphertexts, sealed states, and pooled counts."""
    update = ciphertexts(
        *(
            update_placement(config, charter, sizes.layout, server_round)
            for server_round in (LARGEST_ROUND, LARGEST_ROUND + 1, config.pruning.after + 1)
        )
    )
    state = opaque(_state_bytes(config, sizes))
    counted = round_counts(config, charter, sizes.evaluation).size
    nothing, receipt = opaque(0), opaque(MAX_ENVELOPE_BYTES)

    every_round = evaluation_step(config, charter) == 1

    def reply(counts: int = 0, *, always: bool = True, **parts: ArrayForm) -> ReplyForm:
        held = ciphertexts(count_placement(config, charter, counts)) if counts else nothing
        held = held if always else held.or_nothing()
        forms = dict.fromkeys(("upload", "receipt", "state", "model"), nothing)
        sealed = {"count-upload": held, "count-receipt": receipt if counts else nothing}
        return ReplyForm(
            arrays={**forms, **sealed, **parts},
            facts={"released": IntRange(0, 1)},
            optional={"tally": tally(counted)},
        )

    return {
        messages.STATISTICS: reply(sizes.statistics, state=state),
        messages.TRAIN: reply(
            counted, always=every_round, upload=update, receipt=receipt, state=state
        ),
        messages.EVALUATE: reply(counted, state=state, model=opaque(DIGEST_SIZE)),
        sealed_messages.RELEASE: reply(),
    }


def _state_bytes(config: RunConfig, sizes: Sizes) -> int:
    vectors = 2 + len(optimizer_for(config).init(1))  # the model, perhaps the rule's memory
    numbers = 4 * sizes.layout.dim * vectors + 4 * len(sizes.layout.fields)
    counted = 8 * sizes.statistics + ENCODED_BYTES
    return numbers + counted + _LINK * (config.num_server_rounds + 2) + _STATE_OVERHEAD
