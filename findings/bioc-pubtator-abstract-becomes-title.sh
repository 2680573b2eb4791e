#!/usr/bin/env bash
# Package: bioc 2.1 (lxml 6.1.3). Seen 2026-11-29.
#
# Question: which text and which entities has a document in PubTator's format? It is a line
#   `PMID|t|title`, a line `PMID|a|abstract`, and a line a mention: PMID, start, end, text, type
#   and, where the mention was linked to a terminology, its identifier, parted by tabs.
# Good guess: those that stand there.
# What happens: `bioc.pubtator` looks for `|t|` anywhere in a line, before it looks for `|a|`. An
#   abstract that says "Pr(>|t|)", as R prints p-values, is taken for the title: the document has no
#   abstract, the end of a sentence as its title, and another PMID. And a mention without an
#   identifier, with or without the tab before it, is taken for a relation: the entity is gone. No
#   warning, no error.
# Why it matters here: corpora of diseases and drugs come in this format. A site that converts one
#   trains on texts that nobody wrote, or with entities that are marked as none.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bioc==2.1 lxml==6.1.3
"$folder/venv/bin/python" <<'PYTHON'
from bioc import pubtator

TITLE = "9000001|t|Gout and diuretics"
MENTION = "9000001\t0\t4\tGout\tDisease"


def read(*lines):
    (document,) = pubtator.loads("\n".join(lines) + "\n")
    return document


plain = read(TITLE, "9000001|a|Risk rose (P = 0.01).", f"{MENTION}\tD006073")
print("Without |t| in the abstract:", (plain.pmid, plain.title, plain.abstract))
assert (plain.pmid, plain.title) == ("9000001", "Gout and diuretics")
assert plain.abstract == "Risk rose (P = 0.01)."
assert [one.text for one in plain.annotations] == ["Gout"]

changed = read(TITLE, "9000001|a|Risk rose (Pr(>|t|) = 0.01).", f"{MENTION}\tD006073")
print("With it:", (changed.pmid, changed.title, changed.abstract))
assert changed.pmid == "9000001|a|Risk rose (Pr(>"
assert changed.title == ") = 0.01)."
assert changed.abstract is None

for line in (MENTION, f"{MENTION}\t"):
    unlinked = read(TITLE, "9000001|a|Risk rose.", line)
    relations = [(one.type, one.id1, one.id2, one.neg) for one in unlinked.relations]
    print(f"{line!r}: {len(unlinked.annotations)} entities, relations {relations}")
    assert unlinked.annotations == []
    assert relations == [("0", "4", "Gout", "Disease")]
PYTHON
