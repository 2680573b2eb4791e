#!/usr/bin/env bash
# Packages: py-xbrl 3.0.3, and Arelle 2.47.3 (arelle-release) as the other reader. Seen 2026-11-29.
#
# Question: which facts does a bank's inline XBRL report hold?
# Good guess: what its tags say: the shown number, by its format, scale and sign. Arelle finds the
#   report below valid and reads it so.
# What happens in py-xbrl, without a warning:
#   - Amounts above a million are rounded to whole units, whatever `decimals` says: 1,234,567.89 is
#     1234568.0. Smaller ones keep their cents, so that parts no longer add up to their total.
#   - Where it lacks a number format of the registry (`numdotdecimalin`, of India), the scale and
#     the sign are not applied either: a loss of 45 crore rupees (-450,000,000) is a profit of 45.
#   - `decimals="INF"`, an exact value, becomes 0, "correct to the unit": a rate of 4.375 % that is
#     rounded as its `decimals` say is 0.
#   - Of a number tagged twice, one tag within the other, only the inner fact is there.
#   - A text ends where it is continued: "The bank has no" capital left. Excluded page numbers stay.
#   - `json`, by its documentation xBRL-JSON, writes the balance at the end of 31 December as
#     2025-12-31T00:00:00. In that format it is the beginning of the day; Arelle has 2026-01-01.
#   Its documentation says nothing of this. One of its open issues names the tags in tags.
# Why it matters here: ratios from such amounts are the columns of a model of credit risk. A site
#   that reads reports with one library and a site with the other train on different numbers.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export HOME="$folder" XDG_CONFIG_HOME="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet py-xbrl==3.0.3 arelle-release==2.47.3
cd "$folder"
cat > report.xsd <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"
  xmlns:xbrli="http://www.xbrl.org/2003/instance" targetNamespace="http://bank.example/2025">
<xsd:import namespace="http://www.xbrl.org/2003/instance"
  schemaLocation="http://www.xbrl.org/2003/xbrl-instance-2003-12-31.xsd"/>
NUMBERS
<xsd:element id="b_Rate" name="Rate" type="xbrli:pureItemType" substitutionGroup="xbrli:item"
  xbrli:periodType="instant"/>
<xsd:element id="b_Capital" name="Capital" type="xbrli:stringItemType"
  substitutionGroup="xbrli:item" xbrli:periodType="instant"/>
<xsd:element id="b_Loans" name="Loans" type="xbrli:stringItemType" substitutionGroup="xbrli:item"
  xbrli:periodType="instant"/>
</xsd:schema>
XML
cat > report.xhtml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:ix="http://www.xbrl.org/2013/inlineXBRL"
  xmlns:ixt="http://www.xbrl.org/inlineXBRL/transformation/2015-02-26"
  xmlns:xbrli="http://www.xbrl.org/2003/instance" xmlns:link="http://www.xbrl.org/2003/linkbase"
  xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:iso4217="http://www.xbrl.org/2003/iso4217"
  xmlns:b="http://bank.example/2025">
<head><title>Report</title></head>
<body>
<div style="display:none"><ix:header>
<ix:references><link:schemaRef xlink:type="simple" xlink:href="report.xsd"/></ix:references>
<ix:resources>
<xbrli:context id="end"><xbrli:entity>
<xbrli:identifier scheme="http://bank.example">B</xbrli:identifier></xbrli:entity>
<xbrli:period><xbrli:instant>2025-12-31</xbrli:instant></xbrli:period></xbrli:context>
<xbrli:unit id="inr"><xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unit>
<xbrli:unit id="pure"><xbrli:measure>xbrli:pure</xbrli:measure></xbrli:unit>
</ix:resources></ix:header></div>
<p><ix:nonFraction name="b:Current" contextRef="end" unitRef="inr" decimals="2"
  format="ixt:numdotdecimal">934,567.89</ix:nonFraction></p>
<p><ix:nonFraction name="b:Savings" contextRef="end" unitRef="inr" decimals="2"
  format="ixt:numdotdecimal">300,000.00</ix:nonFraction></p>
<p><ix:nonFraction name="b:Deposits" contextRef="end" unitRef="inr" decimals="2"
  format="ixt:numdotdecimal">1,234,567.89</ix:nonFraction></p>
<p>(<ix:nonFraction name="b:Before" contextRef="end" unitRef="inr" decimals="-7" scale="7" sign="-"
  format="ixt:numdotdecimal">45</ix:nonFraction>) crore</p>
<p>(<ix:nonFraction name="b:Result" contextRef="end" unitRef="inr" decimals="-7" scale="7" sign="-"
  format="ixt:numdotdecimalin">45</ix:nonFraction>) crore</p>
<p><ix:nonFraction name="b:Rate" contextRef="end" unitRef="pure" decimals="INF" scale="-2"
  format="ixt:numdotdecimal">4.375</ix:nonFraction> %</p>
<p><ix:nonFraction name="b:Overdue" contextRef="end" unitRef="inr" decimals="0"
  format="ixt:numdotdecimal"><ix:nonFraction name="b:Secured" contextRef="end" unitRef="inr"
  decimals="0" format="ixt:numdotdecimal">5,000</ix:nonFraction></ix:nonFraction></p>
<p><ix:nonNumeric name="b:Capital" contextRef="end"
  continuedAt="more">The bank has no</ix:nonNumeric>
<i>2</i> <ix:continuation id="more"> capital left.</ix:continuation></p>
<p><ix:nonNumeric name="b:Loans" contextRef="end">Loans of<ix:exclude> 3 </ix:exclude>
months</ix:nonNumeric></p>
</body></html>
XML
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import json
import logging
import shutil
from pathlib import Path

import arelle
from arelle.api.Session import Session
from arelle.RuntimeOptions import RuntimeOptions
from xbrl.cache import HttpCache
from xbrl.instance import parse_ixbrl

names = ("Current", "Savings", "Deposits", "Before", "Result", "Overdue", "Secured")
element = (
    '<xsd:element id="b_{0}" name="{0}" type="xbrli:monetaryItemType" substitutionGroup="xbrli:item"'
    ' xbrli:periodType="instant"/>'
)
schema = Path("report.xsd")
schema.write_text(schema.read_text().replace("NUMBERS", "\n".join(map(element.format, names))))
standard = Path("www.xbrl.org/2003")
shutil.copytree(Path(arelle.__file__).parent / "resources/cache/http" / standard, "cache" / standard)

warnings = []
watch = logging.Handler(logging.WARNING)
watch.emit = warnings.append
logging.getLogger().addHandler(watch)
report = parse_ixbrl(str(Path("report.xhtml").resolve()), HttpCache("cache"), encoding="utf-8")
assert not warnings
mine = {fact.concept.name: fact for fact in report.facts}

options = RuntimeOptions(
    entrypointFile="report.xhtml", internetConnectivity="offline", keepOpen=True, logFile="log.txt",
    validate=True,
)
with Session() as session:
    session.run(options)
    model = session.get_models()[0]
    assert not model.errors, model.errors
    other = {fact.qname.localName: (fact.xValue, fact.decimals) for fact in model.facts}
    ends = {fact.context.endDatetime.isoformat() for fact in model.facts}

for name, (value, decimals) in other.items():
    fact = mine.get(name)
    seen = None if fact is None else (fact.value, getattr(fact, "decimals", None))
    print(f"{name}: Arelle {str(value)!r}, decimals {decimals}; py-xbrl {seen}")

assert round(mine["Current"].value + mine["Savings"].value, 2) == 1234567.89
assert (str(other["Deposits"][0]), mine["Deposits"].value) == ("1234567.89", 1234568.0)
assert (other["Before"][0], mine["Before"].value) == (-450_000_000, -450_000_000.0)
assert (other["Result"][0], mine["Result"].value) == (-450_000_000, 45.0)
assert (other["Rate"][1], mine["Rate"].decimals) == ("INF", 0)
assert round(mine["Rate"].value, mine["Rate"].decimals) == 0
assert set(other) - set(mine) == {"Overdue"}
assert other["Capital"][0] == "The bank has no capital left."
assert mine["Capital"].value == "The bank has no"
assert "3" not in other["Loans"][0]
assert "3" in mine["Loans"].value
facts = json.loads(report.json())["facts"].values()
periods = {fact["dimensions"]["period"] for fact in facts}
print("all end at", ends, "by Arelle, and at", periods, "in py-xbrl's JSON")
assert (ends, periods) == ({"2026-01-01T00:00:00"}, {"2025-12-31T00:00:00"})
PYTHON
