"""Sentences for the codes that say why a site was left out of a round.

Only the code leaves a site or is recorded of a refused reply; the details stay at the site. An
unknown code is shown unchanged.
"""

from collections.abc import Mapping

from consortium.wording.formatting import count, readable_name

SITE_REFUSED = "site-refused."
MILLI = "_milli"

_OTHER = "It answered a different request from the one it received."
_SEEN_BY_THE_COORDINATOR = {
    "never-came": "Nothing came from it before the run began.",
    "hub-away": "The hub behind which it stands was not there.",
    "hub-sum-refused": "The sum of its hub was not as agreed.",
    "silent": "No answer came before the deadline.",
    "node-gone": "Its connection was down when the round began.",
    "node-failed": "Its connection or its program failed during the round.",
    "unreadable": "The bytes it sent were not a message.",
    "malformed-record": "Its answer did not have the agreed form.",
    "malformed-envelope": "Its answer did not have the agreed form.",
    "layout-mismatch": "It sent a model whose shape differs from the agreed one.",
    "wrong-layout": "It would have trained a different model: its table, model or version differs "
    "from the others.",
    "wrong-charter": "It had signed a charter other than this run's.",
    "not-a-member": "It is not named in the charter, or this run leaves it out.",
    "not-the-site": "It did not prove that it is the site it claimed to be.",
    "name-taken": "Another connection already answered under its name.",
    "tally-out-of-range": "It sent counts outside the possible range.",
    "sum-out-of-bounds": "It sent counts outside the possible range.",
    "impossible-tally": "It sent counts that contradict each other; no set of records gives them.",
    "non-finite-update": "Its update held values that are not finite numbers; one of them would "
    "have ruined the model.",
    "bad-compression": "Its compressed update did not have the agreed form.",
    "updates-refused": "The aggregation rule could not use its update.",
    "weights-refused": "It claimed a weight that the rules do not allow.",
    "nothing-sent": "Its answer lacked an upload that was asked for.",
    "malformed-ciphertext": "It did not send the expected ciphertexts.",
    "bad-signature": "Its signature was not made by the member it names.",
    "not-in-roster": "It does not take part in this run.",
    "wrong-run": _OTHER,
    "wrong-round": _OTHER,
    "wrong-attempt": _OTHER,
    "wrong-purpose": _OTHER,
    "wrong-bucket": "It claimed a bucket other than the one the run assigned to it.",
    "wrong-weight-class": "It claimed a weight that the run does not allow.",
    "unusable-keys": "Other sites could not open the keys that it made for them, so another member "
    "made new ones.",
    "wrong-delivery": "It did not make one key for each other member, so another member made them.",
    "wrong-commitment": "It did not commit to one share of the draw of buckets of these sites.",
    "two-commitments": "It committed to two shares of one draw of buckets, so it was left out.",
    "wrong-share": "It revealed another share of the draw of buckets than it had committed to.",
    "wrong-opening": "It opened another run than the one it was asked to open.",
    "not-attested": "It did not tell the others what it knows of their ledgers.",
    "state-disputed": "It signed or sent a model state that differs from that of most others.",
    "wrong-pair-keys": "It did not offer a key of its own for the secrets that it shares with the "
    "others.",
    "unusable-pair-key": "It offered a key to which nothing can be sealed.",
    "foreign-pair-secret": "It made secrets for other places than those of this run.",
    "pair-secret-disputed": "Another site says that the secret that it made for it does not "
    "open, or came twice.",
    "terms-altered": "It sent mask terms that its receipt does not sign.",
    "another-cohort": "It masked its upload for other sites than those that were asked together.",
    "wrong-bundle": "It did not share its mask among the sites that confirm sums.",
    "shares-unreadable": "More sites than may be in league could not open their share of its mask.",
    "another-set-confirmed": "It confirmed another set than the one that it was shown.",
}

_SAID_BY_THE_SITE = {
    "other-charter": "It refused: the request belongs to a charter that it did not sign.",
    "bad-site": "It is not set up for this run.",
    "bad-charter": "Its charter cannot be read, or allows no such run.",
    "bad-config": "The run config contradicts its charter.",
    "secret-missing": "One of its private keys is missing.",
    "exposed-secret": "One of its private keys could be read or exchanged by others.",
    "check-alarm": "It refused: its records look wrong beside the others', and its operator has "
    "not mended or accepted them yet.",
    "nothing-new": "It had nothing new to send.",
    "no-such-period": "Its operator declared no records for this period.",
    "period-waits": "It has fewer than ten new records of a class: they wait for the next period.",
    "period-changed": "Its records of this period are others than those that were declared.",
    "not-approved": "It refused: its operator has not approved the code of this run.",
    "helper-died": "Its process died while it worked on the request.",
    "audit-log-unavailable": "Its audit log could not be written, and it answers nothing without.",
    "ledger-broken": "Its ledger of privacy is damaged.",
    "ledger-rolled-back": "Its ledger of privacy lacks entries that it had before.",
    "unclippable-model": "It cannot bound what one person changes in this model.",
    "site-error": "An unexpected error occurred there; its own log has the details.",
    "missing-file": "Its data file was not there.",
    "missing-library": "A library that it needs is not installed there.",
    "unreadable-source": "Its data could not be read.",
    "broken-file": "Its data file does not match its extension, or rows do not match the header.",
    "unknown-format": "Its data file has an unsupported format.",
    "wrong-separator": "Its data file uses a separator other than the declared one.",
    "empty-table": "Its data hold no records.",
    "query-failed": "Its database did not answer the query.",
    "bad-texts": "Some records have no text or a broken one, no person, an undeclared label, or an "
    "unknown side of the split; or it cannot be told whose they are.",
    "bad-sentences": "Some sentences break the agreed schema, or it cannot be told whose they are "
    "or on which side of the split.",
    "bad-annotations": "What was marked in its documents is not in their text at that place.",
    "broken-iob": "The tags of its sentences are not IOB2.",
    "unknown-side": "A file of its sentences is not named after a side of the split.",
    "unknown-encoder": "The encoder that the run names was not there.",
    "unfit-encoder": "The encoder that the run names cannot be trained here.",
    "other-texts": "The agreed texts of the run were not there, or were others.",
    "slow-tokenizer": "The encoder's tokenizer does not tell the words of a sentence apart.",
    "unclear-marks": "The encoder's tokenizer sets special pieces within a text.",
    "other-encoder": "Its encoder has other weights, config or tokenizer than the run asks for.",
    "bad-reading": "What was said of how to read its data does not fit them.",
    "bad-fhir-map": "The map of its FHIR resources is not one.",
    "other-map": "It reads its records by a map other than the charter names for it.",
    "bad-resources": "Some of its FHIR resources cannot be made into cells of the table.",
    "bad-omop-map": "The map of its OMOP tables is not one.",
    "bad-cdm-rows": "Some rows of its OMOP tables cannot be made into cells of the table.",
    "bad-table": "Its data break the agreed schema.",
    "missing-columns": "Its data lack columns of the agreed schema.",
    "person-on-both-sides": "One person's records were on both sides of its split into training "
    "and test.",
    "person-changed-sides": "A person who was trained on before would have been held out, or the "
    "other way round.",
    "side-key-replaced": "It has lost the secret by which it holds persons out.",
    "empty-site": "It had no records to train on.",
    "training-diverged": "Its training diverged to values that are not finite; a smaller learning "
    "rate helps.",
    "non-finite-predictions": "The model it received predicts values that are not finite.",
    "too-few-left-out": "It would have shown fewer than ten persons whose records lack a value, or "
    "have every value, by the difference of two sums: missing-values=indicator counts all.",
    "tally-overflow": "It holds more records than the counters can hold.",
    "out-of-bounds": "A value in its data is outside the declared bounds.",
    "undeclared-category": "Its data hold an undeclared category.",
    "unfit-schema": "The agreed table does not fit the task.",
    "bad-plan": "It cannot train the way the run asks for.",
    "bad-compression": "Its update holds values that are not finite numbers, and was not "
    "compressed.",
    "impossible-state": "It was shown a state that no run of this learner has.",
    "bad-score-bins": "It was told to count scores in bins that are none.",
    "malformed-record": "It could not read the request.",
    "bad-signature": "It was given something that the party it names did not sign.",
    "no-epoch": "It holds no key for this run yet.",
    "stale-epoch": "It refused keys that are not newer than those it has.",
    "wrong-epoch": "It refused a run that was opened under other keys than its own.",
    "not-an-opener": "It refused keys or a run from a member that is not allowed to issue them.",
    "wrong-descriptor": "It refused a run whose opening has settings other than those shown.",
    "opening-already-accepted": "It refused to open the same run again.",
    "too-many-openings": "It refused a run that was opened again too often: its operator must "
    "decide now.",
    "already-answered": "It refused a request that repeats an earlier one with other content.",
    "other-buckets": "It refused to seal the same updates for other buckets; the run "
    "needs another seed.",
    "wrong-pair-keys": "It was shown a list of pair keys that is not one of each site of the run.",
    "own-pair-key-missing": "It was shown a list of pair keys without the key it had offered, so "
    "the run must be opened anew.",
    "unusable-pair-key": "Another site signed a pair key to which nothing can be sealed.",
    "foreign-pair-secret": "It was shown a pair secret that its sender did not sign for this run: "
    "the coordinator, or somebody on the way, exchanged it.",
    "unreadable-pair-secret": "Another site signed a pair secret that does not open; the site has "
    "the proof.",
    "two-pair-secrets": "Another site signed two pair secrets for one place; the site has the "
    "proof.",
    "pair-secrets-missing": "It does not yet share a secret with every site of the run that it "
    "needs one with.",
    "mask-not-joined": "The confirmations of a sum did not take its masks off.",
    "no-bucket-draw": "It was asked to train in buckets that the sites of the run did not draw; "
    "the run must be started anew.",
    "other-commitments": "It had revealed its share of the draw of buckets for other commitments "
    "of these sites, so one of them committed twice.",
    "too-many-draws": "It has drawn buckets for as many rosters as it does under one charter.",
    "wrong-commitment": "It was shown commitments that are not one of each site of the draw.",
    "wrong-share": "It was shown a share of the draw of buckets that its site did not commit to.",
    "other-settings": "It refused to seal the same updates with other settings; the run "
    "needs another seed.",
    "answer-forgotten": "It was asked again for an answer it no longer keeps.",
    "key-burned": "It refused keys under which an earlier sum was wrong.",
    "checksum-failed": "It was given a sum that is not the sum of the answers named with it.",
    "cannot-open": "It was given sealed bytes that cannot be opened.",
    "receipt-missing": "It was given a sum that lacks the answer it had sent.",
    "receipt-altered": "It was given a receipt in its name that it did not sign.",
    "duplicate-member": "It was given a sum in which one member stands twice.",
    "too-few-others": "It refused a sum that would reveal too much about the few sites in it.",
    "no-majority": "It was given a state of the model that no majority signed.",
    "wrong-state": "It was given a model state other than the agreed one.",
    "rolled-back": "It was given a state of the model that does not follow from its last one.",
    "another-final-state": "It was given another last sum than most others, and uses no model of "
    "this run.",
    "no-final-state": "It did not evaluate the final state, so it has no model of this run.",
    "another-roster": "It counted its records for another roster under this charter, and counts "
    "exactly for one only.",
    "other-sites": "Its updates from this start were summed for other sites before: the run needs "
    "the same sites, another seed, or noise.",
    "ledger-restored": "Others know of runs that its ledger does not: it was put back from an "
    "older copy. Its operator enters them with consortium site ledger --enter-gap.",
    "ledger-not-compared": "It was not told by enough other members what they know of its ledger.",
    "pair-key-unknown": "It was shown a pair key in its name that it did not make; the run must be "
    "started anew.",
    "pair-key-used": "It was shown a pair key that belongs to another run; the run must be started "
    "anew.",
    "run-forgotten": "It holds no pair secrets of this run any more: it ended or was forgotten.",
    "state-not-held": "It did not reach the state from which a run is to go on, or holds it no "
    "more.",
    "run-went-on": "It confirmed a sum that was made from the state from which a run is to go on: "
    "resume that run instead.",
    "continued-elsewhere": "The run goes on under another charter already.",
    "too-few-remain": "Too few sites of the run that is to go on remain.",
    "round-confirmed": "It confirmed another set of this round, and confirms and opens no other.",
    "other-set-confirmed": "It confirmed the bucket with other sites in this run, whose charter "
    "allows one set.",
    "another-cohort": "It was shown a set that does not hold exactly the sites that were asked.",
    "states-differ": "It was shown a set whose sites did not all compute from its own state.",
    "terms-altered": "It was shown mask terms that a site's receipt does not sign.",
    "set-altered": "It was shown parts of a set that are not those that its digest says.",
    "sum-altered": "It was shown a sum that is not the one that the witnesses confirmed.",
    "too-few-buckets": "It was shown a set with fewer buckets than the rule needs.",
    "not-a-witness": "It was shown a confirmation of a member that is no witness of this run.",
    "confirmed-twice": "It was shown two confirmations of one witness for one set.",
    "another-set-confirmed": "It was shown a confirmation of another set.",
    "too-few-confirmations": "It was shown a set that too few witnesses confirmed.",
    "roster-incomplete": "It refused to open counts that do not hold every site of the run.",
    "sums-missing": "It was not given all the sums of the round.",
    "policy-unreadable": "It has no readable policy, and answers nothing without one.",
    "task-not-allowed": "It refused: its policy does not allow this task.",
    "learner-not-allowed": "It refused: its policy does not allow this learner (its operator can "
    "name it under learners in policy.json).",
    "model-not-allowed": "It refused: its policy does not allow this model.",
    "columns-not-allowed": "It refused: the charter uses columns that its policy withholds.",
    "layout-not-allowed": "It refused: its policy does not release a model of this shape.",
    "encryption-required": "It refused: its policy allows encrypted runs only.",
    "outside-charter": "It refused: the charter does not allow this run.",
    "privacy-required": "It refused: its policy allows differentially private training only "
    "(learner=gradient with dp.epsilon).",
    "weaker-unit": "It refused: its policy protects persons, but the run protects records.",
    "epsilon-too-large": "It refused: the run would spend more privacy than its policy allows.",
    "budget-exhausted": "It refused: the run would spend more privacy than is left.",
    "crowd-too-small": "It refused: sums might be over fewer sites than its policy asks for.",
    "too-many-evaluations": "It refused: its policy allows fewer evaluations in a run.",
    "evaluated-before": "It refused: it had evaluated another model, or other records, in this "
    "round. Start a new run.",
    "too-many-rounds": "It refused: its policy allows fewer rounds.",
    "too-many-bytes": "It refused: its policy allows fewer bytes to leave.",
    "too-few-examples": "It refused: it has fewer training records than its policy asks for.",
    "question-not-allowed": "It refused: its policy does not allow requests of this kind.",
    "outside-hours": "It refused: its policy allows no requests at this hour.",
    "too-often": "It refused: it was asked more often than its policy allows.",
    "stopped": "It refused: its operator stopped the site.",
    "not-released": "Its policy gate stopped an answer that held something not allowed to leave.",
    "traffic-unavailable": "Its count of requests could not be read or written.",
    "memory-unavailable": "Its store of earlier answers could not be read or written.",
    "memory-damaged": "Its store of earlier answers is damaged.",
}


def told_codes() -> tuple[frozenset[str], frozenset[str]]:
    """Return the codes that have a sentence: what the coordinator finds, and what sites say."""
    return frozenset(_SEEN_BY_THE_COORDINATOR), frozenset(_SAID_BY_THE_SITE)


def refusal_reason(code: str, counts: Mapping[str, int] | None = None) -> str:
    """Return a sentence that says why a site was left out, with the counts reported with it."""
    known = (
        _SAID_BY_THE_SITE.get(code.removeprefix(SITE_REFUSED))
        if code.startswith(SITE_REFUSED)
        else _SEEN_BY_THE_COORDINATOR.get(code)
    )
    told = known or f"The recorded reason is {code}."
    numbers = [_count_text(name, number) for name, number in (counts or {}).items()]
    return f"{told.rstrip('.')} ({', '.join(numbers)})." if numbers else told


def _count_text(name: str, number: int) -> str:
    """Return a count with its name; a name that ends in `_milli` counts thousandths."""
    if name.endswith(MILLI):
        return f"{readable_name(name.removesuffix(MILLI))} {number / 1000:g}"
    return f"{readable_name(name)} {count(number)}"
