"""Why a site was left out of a round, from code to sentence.

A code is all that leaves a site or is recorded of a refused reply; its details stay where they
are. A code that is not known here is shown as it is.
"""

from collections.abc import Mapping

from consortium.wording.formatting import count, readable_name

SITE_REFUSED = "site-refused."
MILLI = "_milli"

_OTHER = "It answered another request than the one it was asked."
_SEEN_BY_THE_COORDINATOR = {
    "silent": "No answer came before the deadline.",
    "node-failed": "Its connection or its program failed during the round.",
    "unreadable": "The bytes that came from it were no message.",
    "malformed-record": "Its answer did not have the agreed form.",
    "malformed-envelope": "Its answer did not have the agreed form.",
    "layout-mismatch": "It sent a model of another shape than the agreed one.",
    "wrong-layout": "It would have trained another model than the others: its table, model or "
    "version differs.",
    "wrong-charter": "It had signed another charter than this run's.",
    "not-a-member": "It is not named in the charter.",
    "not-the-site": "It did not prove that it is the site whose name it gave.",
    "name-taken": "Another connection already answered under its name.",
    "tally-out-of-range": "It sent counts that no site can have.",
    "impossible-tally": "It sent counts that contradict each other, so that no records can have "
    "them.",
    "non-finite-update": "Its update held values that are not numbers; one of them would have "
    "spoilt the model.",
    "updates-refused": "Its update could not be used by the rule that combines them.",
    "weights-refused": "It claimed a weight that the rules do not allow.",
    "malformed-ciphertext": "What it sent was not the ciphertexts that were expected.",
    "bad-signature": "Its signature was not made by the member it is named for.",
    "not-in-roster": "It does not take part in this run.",
    "wrong-run": _OTHER,
    "wrong-round": _OTHER,
    "wrong-attempt": _OTHER,
    "wrong-purpose": _OTHER,
    "wrong-bucket": "It claimed another group than the one the run gave it.",
    "wrong-weight-class": "It claimed a weight that the run does not allow.",
    "state-disputed": "It signed, or sent, another state of the model than most of the others.",
}

_SAID_BY_THE_SITE = {
    "other-charter": "It refused: the request was bound to a charter that it did not sign.",
    "bad-site": "It is not set up for this run.",
    "site-error": "Something failed there that nobody foresaw; its own log says what.",
    "missing-file": "Its data file was not there.",
    "unreadable-source": "Its data could not be read.",
    "broken-file": "Its data file is not what its ending says, or rows do not fit the header.",
    "unknown-format": "Its data file has a format that is not read.",
    "wrong-separator": "Its data file is separated by another character than declared.",
    "empty-table": "Its data hold no records.",
    "query-failed": "Its database did not answer the query.",
    "bad-texts": "Some records have no text, nobody's name, or a label that was not declared.",
    "unknown-encoder": "The encoder that the run names was not there.",
    "unfit-encoder": "The encoder that the run names cannot be trained here.",
    "other-encoder": "Its encoder has other weights, or another vocabulary, than the run asks for.",
    "bad-table": "Its data break the agreed schema.",
    "missing-columns": "Its data lack columns of the agreed schema.",
    "person-on-both-sides": "One person's records were on both sides of its split into training "
    "and test.",
    "empty-site": "It had no records to train on.",
    "training-diverged": "Its training ran off to values that are not numbers; a smaller learning "
    "rate helps.",
    "non-finite-predictions": "The model it received predicts values that are not numbers.",
    "tally-overflow": "It holds more records than the counts provide for.",
    "out-of-bounds": "A value in its data is outside the declared bounds.",
    "undeclared-category": "Its data hold a category that nobody declared.",
    "unfit-schema": "The agreed table does not fit the task.",
    "bad-plan": "It cannot train in the way that the run asks for.",
    "malformed-record": "It could not read the request.",
    "no-epoch": "It holds no key for this run yet.",
    "stale-epoch": "It refused keys that are not newer than those it has.",
    "wrong-epoch": "It refused a run that was opened under other keys than its own.",
    "not-an-opener": "It refused keys or a run from a member that may not give them.",
    "wrong-descriptor": "It refused a run that was opened with other settings than those shown.",
    "opening-already-accepted": "It refused to open the same run again.",
    "too-many-openings": "It refused a run that was opened again too often: people decide now.",
    "already-answered": "It refused a question asked before with other content.",
    "answer-forgotten": "It was asked again for an answer it no longer keeps.",
    "key-burned": "It refused keys under which a sum was wrong before.",
    "checksum-failed": "It was given a sum that is not the sum of the answers named with it.",
    "cannot-open": "It was given sealed bytes that do not open.",
    "receipt-missing": "It was given a sum without the answer that it had sent for it.",
    "receipt-altered": "It was given a receipt in its name that it did not sign.",
    "duplicate-member": "It was given a sum in which one member stands twice.",
    "too-few-others": "It refused a sum that would say too much of the few sites in it.",
    "no-majority": "It was given a state of the model that no majority signed.",
    "wrong-state": "It was given another state of the model than the agreed one.",
    "rolled-back": "It was given a state of the model that does not follow from its last one.",
    "roster-incomplete": "It refused to open counts that do not hold every site of the run.",
    "sums-missing": "It was not given all the sums of the round.",
    "policy-unreadable": "It has no policy that can be read, and answers nothing without one.",
    "task-not-allowed": "It refused: its policy does not allow this task.",
    "model-not-allowed": "It refused: its policy does not allow this model.",
    "columns-not-allowed": "It refused: the charter reads columns that its policy keeps back.",
    "layout-not-allowed": "It refused: its policy does not let out a model of this shape.",
    "encryption-required": "It refused: its policy allows encrypted runs only.",
    "outside-charter": "It refused: the charter does not allow such a run.",
    "privacy-required": "It refused: its policy allows differentially private training only.",
    "weaker-unit": "It refused: its policy protects persons, the run would protect records.",
    "epsilon-too-large": "It refused: the run would cost more privacy than its policy allows.",
    "budget-exhausted": "It refused: the run would cost more privacy than is left.",
    "crowd-too-small": "It refused: sums might be made of fewer sites than its policy asks for.",
    "too-many-rounds": "It refused: its policy allows fewer rounds.",
    "too-many-bytes": "It refused: its policy lets out fewer bytes.",
    "too-few-examples": "It refused: it has fewer training records than its policy asks for.",
    "question-not-allowed": "It refused: its policy does not allow questions of this kind.",
    "outside-hours": "It refused: its policy allows other hours.",
    "too-often": "It refused: it was asked more often than its policy allows.",
    "stopped": "It refused: its operator stopped everything.",
    "not-released": "Its gate stopped an answer: it held something else than may leave.",
    "traffic-unavailable": "Its own count of questions could not be read or written.",
    "memory-unavailable": "Its own memory of what it answered could not be read or written.",
    "memory-damaged": "Its own memory of what it answered is damaged.",
}


def refusal_reason(code: str, counts: Mapping[str, int] | None = None) -> str:
    """Return in a sentence why a site was left out, with the counts that came with it."""
    known = (
        _SAID_BY_THE_SITE.get(code.removeprefix(SITE_REFUSED))
        if code.startswith(SITE_REFUSED)
        else _SEEN_BY_THE_COORDINATOR.get(code)
    )
    told = known or f"The recorded reason is {code}."
    numbers = [_count_text(name, number) for name, number in (counts or {}).items()]
    return f"{told.rstrip('.')} ({', '.join(numbers)})." if numbers else told


def _count_text(name: str, number: int) -> str:
    """Return a count in words; of a quantity in thousandths, the quantity."""
    if name.endswith(MILLI):
        return f"{readable_name(name.removesuffix(MILLI))} {number / 1000:g}"
    return f"{readable_name(name)} {count(number)}"
