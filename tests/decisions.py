"""What a site's operator decides in a test: edits of `policy.json`."""

from pathlib import Path
from typing import Any

from privacy.policy.document import Policy, read_policy
from tests.small_consortium import NAMES, Consortium, forget_processes


def decide(directory: Path, **changes: Any) -> Policy:
    """Write other decisions into a site's policy; those of a part are given as a dict."""
    told = read_policy(directory).model_dump()
    for key, value in changes.items():
        told[key] = {**told[key], **value} if isinstance(value, dict) else value
    policy = Policy.model_validate(told)
    policy.write(directory)
    return policy


def evaluating_for_one_roster(folder: Path) -> Consortium:
    """Place four sites whose policies evaluate for one roster only, as processes that start now."""
    forget_processes()
    made = Consortium.placed(folder)
    for name in NAMES:
        decide(made.run.site(name), releases={"evaluation_rosters": "one"})
    return made
