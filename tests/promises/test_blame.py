"""The audit of sums accuses nobody who is innocent."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from tests.carrier import staged
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    altered,
    forget_processes,
    read_round,
)
from tests.tampering import with_constant


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="part H: the audit takes the sites' evidence of what they were shown",
)
def test_the_audit_does_not_clear_a_coordinator_that_altered_sums_on_their_way(
    tmp_path: Path,
) -> None:
    """Its own files are honest; were they right, one of the members would have spoiled its part."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "train" or passing.number != 2:
            return passing.content
        request = read_round(passing.content)
        placement = consortium.place(passing.site).session(request).terms.updates
        return altered(passing.content, sums=with_constant(request.sums, placement))

    course = consortium.start(down=down)
    refused = {site for _, site, code in course.quarantined if "checksum-failed" in code}
    staged(so=refused == set(NAMES), what="a site accepted an altered sum")
    assert consortium.audited()["updates 1"]
