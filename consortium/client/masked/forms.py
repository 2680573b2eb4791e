"""What a site answers in a masked run beside what every encrypted run answers, and of what size."""

from collections.abc import Mapping
from dataclasses import replace

from consortium.charter.document import Charter
from consortium.client.egress_schema import ReplyForm, opaque
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES
from privacy.protocol.masks.mask_part import (
    MAX_BUNDLE_BYTES,
    MAX_CONFIRMATION_BYTES,
    MAX_TERMS_BYTES,
)
from privacy.wire import mask_messages, messages

_CIPHERTEXT_BYTES = 2_048
_OF_UPDATE = {
    "bundle": opaque(MAX_BUNDLE_BYTES, least=1),
    "terms": opaque(MAX_TERMS_BYTES, least=1),
}
_OF_COUNTS = {f"count-{name}": form for name, form in _OF_UPDATE.items()}


def masked_forms(charter: Charter, sealed: Mapping[str, ReplyForm]) -> dict[str, ReplyForm]:
    """Return the answers of a masked run: keys and confirmations, and what beside each upload.

    Args:
        charter: The members.
        sealed: The answers of the same run without masks.
    """
    others = 64 + len(charter.members) * _CIPHERTEXT_BYTES
    more = {
        messages.STATISTICS: _OF_COUNTS,
        # Not every round of training asks for counts.
        messages.TRAIN: {**_OF_UPDATE, **{k: form.or_nothing() for k, form in _OF_COUNTS.items()}},
        messages.EVALUATE: _OF_COUNTS,
    }
    return {
        mask_messages.PAIR_KEYS: ReplyForm(arrays={"key": opaque(MAX_ENVELOPE_BYTES, least=1)}),
        mask_messages.PAIR: ReplyForm(arrays={"ciphertexts": opaque(others, least=1)}),
        mask_messages.PAIR_SECRETS: ReplyForm(),
        mask_messages.CONFIRM: ReplyForm(
            arrays={"confirmation": opaque(MAX_CONFIRMATION_BYTES, least=1)}
        ),
        **{
            kind: replace(form, arrays={**form.arrays, **more.get(kind, {})})
            for kind, form in sealed.items()
        },
    }
