"""Encryption of the run's state. It is deterministic: honest sites produce the same bytes.

It is AES-SIV (RFC 5297) without a nonce. Equal states under an equal context give equal bytes. So
the sites can sign a digest of a state that the coordinator cannot read.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from privacy import canonical
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import (
    MAX_STATE_BYTES,
    SealedState,
    StateContext,
    WrongCharter,
    WrongRound,
    WrongRun,
)
from privacy.secrets.keys import SIV_OVERHEAD, CannotOpen, RunKeys


class WrongState(ConsortiumError, ValueError, code="wrong-state"):
    """A sealed state is not the one whose digest was agreed."""


def seal_state(state: bytes, *, keys: RunKeys, server_round: int, previous: bytes) -> SealedState:
    """Encrypt the state after a round, so that only sites of the run can open it.

    Guarantee: it is bound to charter, run, round and the sealed state before it. The same
    arguments give the same bytes on every machine.

    Args:
        state: The encoded state.
        keys: Keys of the run.
        server_round: The round after which the run has this state; 0 is the start.
        previous: Digest of the sealed state before it; `envelope.NO_STATE` for the start.

    Raises:
        MalformedEnvelope: The state is longer than AES-SIV accepts.
    """
    canonical.require_bytes("a state", state, low=0, high=MAX_STATE_BYTES - SIV_OVERHEAD)
    context = StateContext(
        charter=keys.charter, run=keys.run, server_round=server_round, previous=previous
    )
    # Without a nonce, AES-SIV reveals only whether two states are equal. The context holds the
    # round and the digest before it, so equal states of two rounds differ too.
    body = AESSIV(keys.state).encrypt(state, [context.encode()])
    return SealedState(context=context, body=body)


def open_state(sealed: SealedState, *, keys: RunKeys, server_round: int, digest: bytes) -> bytes:
    """Return the state that `seal_state` sealed.

    Args:
        sealed: The sealed state as it was received.
        keys: Keys of the run.
        server_round: The expected round.
        digest: The digest that the majority signed, or that this site remembers.

    Raises:
        WrongCharter, WrongRun, WrongRound: It belongs to another charter, run or round.
        WrongState: It does not have that digest.
        CannotOpen: It was sealed under another key, or altered.
    """
    context = sealed.context
    if context.charter != keys.charter:
        raise WrongCharter("the sealed state is bound to another charter")
    if context.run != keys.run:
        raise WrongRun(f"run {keys.run} was expected, the sealed state belongs to {context.run}")
    if context.server_round != server_round:
        raise WrongRound(
            f"the state after round {server_round} was expected, got {context.server_round}",
            needed=server_round,
            came=context.server_round,
        )
    if sealed.digest != digest:
        raise WrongState(f"state {digest.hex()[:12]} was expected, got {sealed.digest.hex()[:12]}")
    try:
        return AESSIV(keys.state).decrypt(sealed.body, [context.encode()])
    except InvalidTag:
        raise CannotOpen from None
