from rich.console import Console

from scenarios.attacks.assignment import NOBODY, AttackAssignment
from scenarios.cli.rules_table import print_rules
from scenarios.engines.runner import run_notes
from scenarios.library.byzantine_banks import SCENARIO as BANKS
from scenarios.library.careless_hospital import SCENARIO as HEART
from strategies.rules.registry import RULES


def table_words(sites: int, liars: int) -> list[list[str]]:
    """Return the words of each printed line."""
    console = Console(record=True, width=140)
    print_rules(console, sites=sites, liars=liars, dim=1_000_000)
    return [line.split() for line in console.export_text().splitlines()]


def test_every_rule_is_listed_with_the_sites_it_needs_and_its_proven_bound() -> None:
    lines = table_words(15, 2)
    for name, spec in RULES.items():
        (row,) = [line for line in lines if line[:1] == [name] and line[1:2] != []]
        needed = spec.sites_needed(2)
        assert row[2] == ("never" if needed is None else str(needed))
    text = " ".join(" ".join(line) for line in lines)
    assert all(spec.breakdown in text for spec in RULES.values())


def test_it_says_what_a_lie_can_do_to_an_exact_count() -> None:
    text = " ".join(" ".join(line) for line in table_words(15, 1))
    assert "a lie is bounded by what a tally can hold, and is not outvoted" in text


def test_five_buckets_of_three_survive_two_liars_with_none_to_spare() -> None:
    (row,) = [line for line in table_words(15, 2) if line[:2] == ["5", "trimmed-mean"]]
    assert row[2:6] == ["yes", "15", "3", "0"]


def test_too_small_a_consortium_is_shown_with_the_sites_it_needs() -> None:
    lines = table_words(8, 1)
    (row,) = [line for line in lines if line[:2] == ["3", "trimmed-mean"]]
    assert row[2:] == ["no", "9"]
    (row,) = [line for line in table_words(6, 1) if line[:2] == ["bulyan", "no"]]
    assert row[2] == "7"


def test_a_rule_that_only_bounds_claims_no_more() -> None:
    lines = table_words(15, 2)
    bounding = {line[0] for line in lines if line[1:2] == ["bounded"]}
    assert bounding == {"clipped-mean", "centered-clipping"}


def test_the_notes_of_a_run_say_what_it_survives_and_who_lies() -> None:
    lies = AttackAssignment(attacks={"elm-west": "sign-flip"})
    promise, liar = run_notes(BANKS, BANKS.config_with({}), lies)
    assert promise.startswith("trimmed-mean over 15 sites survives 2 liars")
    assert "10 sites may be missing" in promise
    assert liar == "elm-west sends its update reversed, ten times as long"


def test_more_liars_than_the_rule_expects_are_noted() -> None:
    lies = AttackAssignment(attacks=HEART.faults)
    *_, last = run_notes(HEART, HEART.config_with({}), lies)
    assert last == "2 sites lie and rule.num-byzantine is 1: the rule promises nothing"


def test_a_plain_run_has_no_notes() -> None:
    config = BANKS.config_with({"rule.name": "mean", "rule.num-byzantine": 0})
    assert list(run_notes(BANKS, config, NOBODY)) == []


def test_the_notes_of_a_masked_run_begin_with_who_confirms_its_sums() -> None:
    config = BANKS.config_with({"aggregation": "encrypted", "buckets": 5, "masks": True})
    confirmed, *others = run_notes(BANKS, config, NOBODY)
    assert confirmed.startswith("masks: 9 of 15 sites confirm each sum before it opens; 6 may be")
    assert any("the same sites in all rounds" in line for line in others)


def test_the_notes_of_encrypted_buckets_say_what_cannot_be_seen() -> None:
    config = BANKS.config_with({"aggregation": "encrypted", "buckets": 5, "masks": False})
    _, promise = run_notes(BANKS, config, NOBODY)
    assert "over 5 bucket means survives 2 liars" in promise
    assert "cannot be seen, only bounded and out-voted" in promise
    assert "smallest consortium that would do: 15" in promise
