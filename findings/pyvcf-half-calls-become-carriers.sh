#!/usr/bin/env bash
# Packages: PyVCF3 1.0.4; vcfpy 0.14.2 (reads the same file). Seen 2026-11-29.
#
# Question: a VCF file has genotypes of which one allele is known and one is not ("0/.", "./1"). Who
#   is a carrier, and how frequent is the variant?
# Good guess: "0/." shows no variant. The frequency is that among the known alleles, as AC and AN
#   count them, or among the fully known genotypes.
# What happens:
# * `is_het` and `is_variant` are true for "0/.": a missing allele is another allele than 0. So
#   people in whom only the reference was seen are counted in `num_het`.
# * vcfpy errs on the other side: `is_variant` is false for "1/.", although the variant was seen. So
#   of these two readers each finds a carrier where the other finds none.
# * `aaf` divides by the missing alleles as well, and `heterozygosity` takes them for the reference.
#   PyVCF3 documents that the denominator comes "from _called_ genotypes", and says nothing of half
#   calls.
# * `nucl_diversity` counts two chromosomes for each man on the X chromosome.
# In 2017 PyVCF chose to take half calls for called, so that "./1" is not lost. What this does to
#   "0/." and to frequencies is not said. CNVkit had the same fault and now reads "0/." as the
#   reference.
# Why it matters here: merged calls and shallow sequencing leave alleles open. The more a site
#   leaves open, the rarer its variants look, and the more carriers of nothing it reports.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet PyVCF3==1.0.4 vcfpy==0.14.2 setuptools==65.5.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

import vcf
import vcfpy


def read(genotypes):
    people = [f"P{number}" for number in range(len(genotypes))]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=X,length=156040895>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(columns),
        "\t".join(["X", "100", ".", "A", "G", "50", "PASS", ".", "GT", *genotypes]),
    ]
    text = "\n".join(lines) + "\n"
    return next(vcf.Reader(io.StringIO(text))), next(vcfpy.Reader.from_stream(io.StringIO(text)))


def known_frequency(genotypes):
    alleles = [a for one in genotypes for a in one.replace("|", "/").split("/") if a != "."]
    return alleles.count("1") / len(alleles)


half = ["0/.", "./0", "0|.", "0/0"]
by_pyvcf, by_vcfpy = read(half)
variants = [bool(call.is_variant) for call in by_pyvcf.samples]
print(half, "- variants by PyVCF3:", variants, "heterozygous:", by_pyvcf.num_het)
print("  variants by vcfpy: ", [bool(call.is_variant) for call in by_vcfpy.calls])
assert variants == [True, True, True, False] and by_pyvcf.num_het == 3
assert by_pyvcf.num_hom_ref == 1 and by_pyvcf.call_rate == 1
assert not any(call.is_variant for call in by_vcfpy.calls)

half = ["1/.", "./1", "1/.", "1/1"]
by_pyvcf, by_vcfpy = read(half)
print(half, "- frequency by PyVCF3:", by_pyvcf.aaf, "among known alleles:", known_frequency(half))
print("  heterozygosity by PyVCF3:", round(by_pyvcf.heterozygosity, 3), "among known alleles: 0")
assert by_pyvcf.aaf == [5 / 8] and known_frequency(half) == 1
assert abs(by_pyvcf.heterozygosity - 15 / 32) < 1e-12 and by_pyvcf.num_het == 3
variants = [bool(call.is_variant) for call in by_vcfpy.calls]
print("  variants by PyVCF3:", [bool(call.is_variant) for call in by_pyvcf.samples])
print("  variants by vcfpy: ", variants)
assert all(call.is_variant for call in by_pyvcf.samples) and variants == [False] * 3 + [True]

men = ["0", "1", "0", "1"]
diversity = read(men)[0].nucl_diversity
print("Four men on X, half with the variant: diversity", round(diversity, 4), "and not 4/3 * 1/2")
assert abs(diversity - 8 / 7 / 2) < 1e-12
PYTHON
