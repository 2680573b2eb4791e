"""Fixtures shared by the tests of tasks: a table in a file."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sites.data.source import TableFile


@pytest.fixture
def source(tmp_path: Path) -> Callable[[pd.DataFrame], TableFile]:
    """Write a table to a new file."""

    def write(frame: pd.DataFrame) -> TableFile:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        frame.to_csv(path, index=False)
        return TableFile(path=path)

    return write
