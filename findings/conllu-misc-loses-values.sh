#!/usr/bin/env bash
# Packages: conllu 6.0.0, and pyconll 3.3.1 to compare. Seen 2026-11-29.
#
# Question: is the MISC column of a CoNLL-U file the same after `parse` and `serialize`?
# Good guess: yes. The columns hold attributes and values with "=" between them, and everything
#   after the first "=" is the value: a URL with a query, an inequality, a code in base 64.
# What happens: conllu keeps what stands between the first two "=" and drops the rest: the value
#   "https://example.org/?id=7" comes back as "https://example.org/?id". An empty value ("Note=")
#   comes back as "Note=_". pyconll keeps the value. Nothing raises, and the shortened file is
#   valid.
# Why it matters here: corpora of clinical text keep links to terminologies in MISC. After one pass
#   through the library every concept of the corpus has the same link.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet conllu==6.0.0 pyconll==3.3.1
"$folder/venv/bin/python" - <<'PYTHON'
import conllu
import pyconll

LINK = "Link=https://example.org/?id={}"


def sentence(misc):
    return f"1\tfever\tfever\tNOUN\t_\t_\t0\troot\t_\t{misc}\n\n"


def by_conllu(misc):
    return conllu.parse(sentence(misc))[0].serialize().strip().split("\t")[9]


def by_pyconll(misc):
    return pyconll.load_from_string(sentence(misc))[0][0].conll().split("\t")[9]


for misc in (LINK.format(7), LINK.format(8), "Lab=CRP>=5", "Note=", "SpaceAfter=No"):
    print(f"{misc}: conllu writes {by_conllu(misc)}")
assert by_pyconll(LINK.format(7)) == LINK.format(7)
assert by_conllu(LINK.format(7)) == by_conllu(LINK.format(8)) == "Link=https://example.org/?id"
assert by_conllu("Lab=CRP>=5") == "Lab=CRP>"
assert by_conllu("Note=") == "Note=_"
assert by_conllu("SpaceAfter=No") == "SpaceAfter=No"
PYTHON
