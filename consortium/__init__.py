"""Federated learning that a hospital or a bank can sign: what a scientist writes in Python.

`import consortium as c` loads nothing: each name is loaded when it is first used. The names in
`__all__` are promised (docs/api.md); everything else may move between versions.
"""

import importlib

# Where each promised name is defined. A run's apps use none of them, and nothing here is loaded in
# a hospital: its installation may lack the packages above this one.
_HOMES = {
    "Category": "sites.schema.tables",
    "ClassLabel": "sites.schema.tables",
    "Consortium": "scenarios.api.declaration",
    "ConsortiumError": "privacy.errors",
    "EventTimeLabel": "sites.schema.tables",
    "Floors": "consortium.charter.document",
    "Model": "scenarios.api.model",
    "Number": "sites.schema.tables",
    "NumberLabel": "sites.schema.tables",
    "Run": "scenarios.api.run",
    "Schema": "sites.schema.tables",
    "Site": "scenarios.api.declaration",
    "check": "scenarios.api.running",
    "compare": "scenarios.api.running",
    "describe": "scenarios.api.running",
    "load_run": "scenarios.api.run",
    "simulate": "scenarios.api.running",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'consortium' has no attribute '{name}'")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
