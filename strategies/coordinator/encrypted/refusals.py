"""What the refusals of one question say together: whose doing it is, and in which sum it lies."""

from collections import Counter
from collections.abc import Iterator, Mapping

from privacy.protocol.receipts import decode_receipts
from strategies.coordinator.encrypted.opening.key_setup import UnusableKeys
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from strategies.coordinator.messaging.events import BucketRefused, SiteQuarantined
from strategies.coordinator.messaging.reply_validation import SiteRefused

SPOILED = f"{SiteRefused.code}.checksum-failed"
# A site refuses so after it has confirmed its model: the sum of the last counts is no good.
COUNTS_REFUSED = frozenset({SPOILED, f"{SiteRefused.code}.impossible-tally"})
_OF_THE_OPENING = frozenset(
    f"{SiteRefused.code}.{code}"
    for code in ("cannot-open", "wrong-epoch", "wrong-descriptor", "malformed-secret")
)


def opening_is_refused(left_out: Mapping[str, SiteQuarantined], num_sites: int) -> bool:
    """Say whether most of the other sites of the run refuse the opening itself.

    All get the same bytes, and those who hold the epoch's secret the same key from them. So if
    most cannot open them it is the opener's doing; if few cannot, it is theirs.

    Args:
        left_out: Who was left out of the first question under the opening, and why.
        num_sites: Sites of the run, the opener included.
    """
    return 2 * len(_refusing_the_opening(left_out)) > num_sites - 1


def left_out_at_opening(
    left_out: Mapping[str, SiteQuarantined], opener: str, num_sites: int
) -> Iterator[SiteQuarantined]:
    """Yield who is named after the first question: in the place of who refuses it, a bad opener."""
    refused = opening_is_refused(left_out, num_sites)
    excused = _refusing_the_opening(left_out) if refused else set()
    for site, event in left_out.items():
        if site not in excused:
            yield event
    if refused:
        yield SiteQuarantined(server_round=0, site=opener, code=UnusableKeys.code)


def refused_buckets(question: SealedRequest) -> Iterator[BucketRefused]:
    """Yield the buckets of the round before whose sums most of the sites asked refused."""
    named = Counter(
        event.counts["bucket"]
        for event in question.left_out.values()
        if event.code == SPOILED and "bucket" in event.counts
    )
    for bucket, sites in sorted(named.items()):
        if 2 * sites > len(question.nodes):  # one site that lies names none
            labels = [one.label for one in decode_receipts(question.request.receipts)]
            yield BucketRefused(
                server_round=question.request.server_round - 1,
                bucket=bucket,
                sites=tuple(label.site for label in labels if label.bucket == bucket),
            )


def _refusing_the_opening(left_out: Mapping[str, SiteQuarantined]) -> set[str]:
    return {site for site, event in left_out.items() if event.code in _OF_THE_OPENING}
