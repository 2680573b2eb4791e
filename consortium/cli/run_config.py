"""`consortium run-config`: which keys `--set` takes, what each says, and what holds by default."""

from consortium.config import KEYS, SETTINGS


def command() -> None:
    """List the keys of the run config, each with its default, its range and what it says."""
    for key, setting in SETTINGS.items():
        print(f"{key}={KEYS[key]}")
        print(f"    {setting.declaration.range}")
        print(f"    {setting.declaration.sentence}")
