import gc
import subprocess
import sys
import weakref

from consortium.cli.entry import search_garbage_rarely


class Node:
    """Something that can refer to itself."""

    itself: "Node"


def test_a_cycle_is_still_found_though_python_looks_less_often() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)  # another test of this process may have called the entry
        search_garbage_rarely()
        assert gc.get_threshold()[0] > 700
        node = Node()
        node.itself = node
        gone = weakref.ref(node)
        del node
        kept: list[list[int]] = [[] for _ in range(2 * gc.get_threshold()[0])]
        assert kept
        assert gone() is None
    finally:
        gc.set_threshold(*before)


def test_no_garbage_is_looked_for_when_the_program_ends() -> None:
    """What runs at exit runs in the opposite order, so the program asks last."""
    program = (
        "import atexit, gc\n"
        "from consortium.cli.entry import search_garbage_rarely\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "search_garbage_rarely()\n"
        "print(gc.get_freeze_count())\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.split() == [b"0", b"True"]
