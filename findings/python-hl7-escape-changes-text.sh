#!/usr/bin/env bash
# Package: hl7 0.4.5 (python-hl7). Seen 2026-11-29.
#
# Question: is a text the same after `escape` and `unescape` of an HL7 version 2 message?
# Good guess: yes. The documentation of `escape` says that it replaces non-ASCII characters "using
#   HL7 conventions", and \Xdd..\ in HL7 is a row of bytes, of two hexadecimal digits each.
# What happens: `escape` writes the number of the Unicode character with as many digits as it has;
#   `unescape` reads pairs of digits, one character each. Up to U+00FF that agrees. Beyond, the text
#   changes: "≥ 5" becomes '"e 5', "α" becomes a semicolon and a control character. Below 16 it
#   writes a space for the first digit: a line feed is "\X a\", which only the library itself can
#   read. Nothing raises.
# Why it matters here: laboratory comments hold ≥, ≤ and α. Results lose their sign, and offsets of
#   annotations move.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hl7==0.4.5
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import hl7

message = hl7.parse("MSH|^~\\&|LAB|A|EHR|B|20260101||ORU^R01|1|P|2.5.1\r")


def there_and_back(text):
    written = message.escape(text)
    read = message.unescape(written)
    print(f"{text!r} is written as {written!r} and read as {read!r}")
    return written, read


for kept in ("5 µg", "Müller", "A & B | C", "a\\b"):
    assert there_and_back(kept)[1] == kept
assert there_and_back("≥ 5") == ("\\X2265\\ 5", '"e 5')
assert there_and_back("≤ 5") == ("\\X2264\\ 5", '"d 5')
assert there_and_back("α1") == ("\\X3b1\\1", ";\x011")
assert there_and_back("one\ntwo") == ("one\\X a\\two", "one\ntwo")
PYTHON
