"""The tests' own records are validated once a process: the same table has the same result.

Each test sets up sites of its own with the same few records, and to validate them is a sixth of a
small run. `sites.data.validation` has its own tests.
"""

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pytest

from sites.data.validation import validate_table
from sites.schema.tables import Schema

_VALIDATED: dict[bytes, pd.DataFrame] = {}


@contextmanager
def validated_once() -> Iterator[None]:
    """Let sites take a table that was validated before as valid, within this block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sites.tasks.tabular.loading.validate_table", _validated)
        yield


def _validated(
    frame: pd.DataFrame, schema: Schema, *, labelled: bool = True, split: str | None = None
) -> pd.DataFrame:
    told = pickle.dumps((frame, schema.fingerprint, labelled, split))
    key = hashlib.sha256(told).digest()
    if key not in _VALIDATED:
        _VALIDATED[key] = validate_table(frame, schema, labelled=labelled, split=split)
    return _VALIDATED[key].copy()
