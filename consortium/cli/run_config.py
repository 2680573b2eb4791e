"""`consortium run-config`: list the keys that `--set` accepts, with their defaults and meanings.

A module of its own because each command is imported only when it is used.
"""

from consortium.config import DEFAULTS, SETTINGS
from consortium.wording.formatting import setting_text


def list_run_config() -> None:
    """List the keys of the run config, each with its default, range and meaning."""
    for key, setting in SETTINGS.items():
        print(f"{key}={setting_text(DEFAULTS[key])}")
        print(f"    {setting.declaration.range}")
        print(f"    {setting.declaration.sentence}")
