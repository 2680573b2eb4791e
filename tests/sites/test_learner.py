import subprocess
import sys


def test_the_contract_loads_without_any_library_of_learning() -> None:
    """The coordinator holds learners, and a site that counts never needs more than numpy."""
    code = (
        "import sys, sites.learner, sites.learners.registry\n"
        "print(*{'torch', 'pandas', 'transformers', 'tenseal', 'flwr'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
