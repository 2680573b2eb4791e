"""What a coordinator keeps that plays a masked run by hand: the files that an inspection reads."""

import json
from collections.abc import Sequence
from pathlib import Path

from consortium.run.evidence_store import EvidenceStore
from privacy.protocol.announcements import encode_named
from privacy.protocol.masks.confirmations import Confirmation, join_confirmations
from strategies.coordinator.encrypted.progress import LAYOUT_FILE, OPENING_FILE
from strategies.coordinator.encrypted.rounds.ciphertext_sums import (
    RECEIPTS_FILE,
    SUMS_FILE,
    upload_file,
)
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    ChosenSet,
)
from tests.masked_by_hand import ByHand, Gathered


def keep_opening(run: ByHand) -> EvidenceStore:
    """Keep the opening of a run and the layout of its model; return where."""
    store = EvidenceStore(run.consortium.run.vault, keeps_all=True)
    layout = run.places[run.names[0]].site.task.layout
    store.keep(OPENING_FILE, [run.opening])
    store.keep(LAYOUT_FILE, [json.dumps(layout.describe()).encode()])
    return store


def keep_set(run: ByHand, gathered: Gathered, confirmations: Sequence[Confirmation]) -> Path:
    """Keep one attempt at a round, with what confirmed it, in a folder of its own; return it."""
    store, slot = keep_opening(run), gathered.slot
    place = f"round-{slot.server_round}/attempt-{slot.attempt}"
    chosen = ChosenSet(
        sum_set=gathered.sum_set,
        cohort=gathered.cohort,
        terms=gathered.terms,
        count_terms=gathered.count_terms,
        bundles=_joined({name: one.bundle for name, one in gathered.updating.items()}),
        count_bundles=_joined({name: one.count_bundle for name, one in gathered.counting.items()}),
    )
    store.keep(f"{place}/{SET_FILE}", [chosen.encode()])
    if confirmations:
        joined = join_confirmations(list(confirmations))
        store.keep(f"{place}/{CONFIRMATIONS_FILE}", [joined])
    sums = b"".join(gathered.sums[bucket] for bucket in sorted(gathered.sums))
    doors = {
        "updates": (gathered.receipts, sums),
        "counts": (gathered.count_receipts, gathered.count_sum),
    }
    uploads = {
        "updates": {name: one.upload for name, one in gathered.updating.items()},
        "counts": {name: one.count_upload for name, one in gathered.counting.items()},
    }
    for what, (receipts, summed) in doors.items():
        if receipts:
            store.keep(f"{place}/{what}/{RECEIPTS_FILE}", [receipts])
            store.keep(f"{place}/{what}/{SUMS_FILE}", [summed])
        for name, upload in uploads[what].items():
            store.keep(f"{place}/{what}/{upload_file(name)}", [upload])
    state = next((one.state for one in gathered.replies.values() if one.state), b"")
    store.keep(f"round-{slot.server_round}/state.bin", [state])
    return store.folder / place


def _joined(bundles: dict[str, bytes]) -> bytes:
    return encode_named(bundles) if bundles else b""
