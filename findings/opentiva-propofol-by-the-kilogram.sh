#!/usr/bin/env bash
# Packages: opentiva 1.1.2 (target controlled infusion), and PyTCI 1.2.0 to compare. opentiva is
#   compiled: this needs a C compiler and the headers of Python. Seen 2026-11-30.
#
# Question: how much propofol or fentanyl does the pump give to reach a target, by the published
#   models that the package names?
# Good guess: by Schuettler and Ihmsen (Anesthesiology 2000, 92:727) 20 to 30 mg of propofol bring
#   an adult's plasma to 3 ug/ml: the central volume is 9.3 l at 30 years and falls with age, with
#   the exponent -0.39.
# What happens: the package has 20.39, and 20.40 and 20.48 for two others, -0.40 and -0.48: perhaps
#   a minus read as a 2. At 40 years the pump gives 9.8 g within ten seconds, at 60 years 38 kg.
#   Only at 30 is it right. `warning` is empty: the ages are valid.
# * `Paedfusor` (BJA 2005, 95:110) lowers the volume from 400 ml/kg at 13 to 229 at 16, where it
#   meets the adult model of Marsh. The code has these numbers and never reaches them: everyone from
#   13 to 16 has that of 13. At 16 the first dose is 75 % too high.
# * Fentanyl's `ShaferW80`, "with weight adjustment if weight > 80", adjusts if the *age* is above
#   80, and by a part of the formula. Heavy people have no adjustment; someone of 85 years and 70 kg
#   has a volume of -3.1 l, and the pump takes fentanyl out. The whole formula gives the dosing
#   weights of Shibutani (BJA 2005, 95:377: 52, 65 and 83 kg for 52, 70 and 100).
# * Cockcroft and Gault's clearance, for rocuronium, takes Devine's 2.3 kg per *inch* for one per
#   cm: a man of 180 cm has an ideal weight of 113 kg for 75, and half as much clearance again.
# * A man's fat-free mass by Al-Sallami is 8 % too high (0.8 for 0.88). It is also the reference of
#   Eleveld's models, so for women their volumes of remifentanil are 7 % too small.
#   The documentation says nothing of this. python-anesthesia-simulator 1.0.0 has -0.39, -0.40 and
#   -0.48 for the same article.
# Why it matters here: where no drug level was measured, a study computes it from the infusions. By
#   this model it is nearly nothing in everyone over 40, and each site's error depends on the age,
#   sex and height of its patients.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet PyTCI==1.2.0 numpy==2.4.6 scipy==1.17.1 Cython==3.3.1 \
    setuptools==65.5.0 wheel==0.48.0
"$folder/venv/bin/pip" install --quiet --no-build-isolation --no-deps opentiva==1.1.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from math import exp, isclose

from opentiva import biometrics, fentanyl, propofol, pump, remifentanil
from PyTCI.weights import leanbodymass


def first_dose(model, target):
    """Return what the pump gives in ten seconds, at 10 units per ml."""
    device = pump.Pump(model=model, drug_concentration=10, end_time=60)
    device.add_target(start=0, target=target, duration=10, effect=False)
    device.run()
    return float(device.infusion_list[0, 1] * device.infusion_list[0, 2])


print("Schuettler's propofol, a man of 70 kg, to 3 ug/ml:")
doses = {}
for age in (30, 40, 60, 80):
    model = propofol.Schuttler(0, age, 70, 175)
    doses[age] = first_dose(model, 3)
    published = 9.3 * (age / 30) ** -0.39
    print(f"  {age} years: {model.v1:.4g} l (published {published:.3g}), {doses[age]:.4g} mg")
    assert isclose(model.v1, 9.3 * (age / 30) ** 20.39) and model.warning == ""
assert 25 < doses[30] < 35 and 9e3 < doses[40] < 1e4 and 3.8e7 < doses[60] < 3.9e7

print("Paedfusor, 55 kg, to 3 ug/ml:")
published = {13: (0.400, 0.0678), 14: (0.342, 0.0792), 15: (0.284, 0.0954), 16: (0.22857, 0.119)}
for age, (volume, k10) in published.items():
    model = propofol.Paedfusor(0, age, 55, 165)
    dose = first_dose(model, 3)
    print(f"  {age} years: {model.v1 / 55:.3f} l/kg (published {volume}), {dose:.0f} mg")
    assert (model.v1, model.k10) == (22, 0.0678) and model.warning == ""
marsh = propofol.MarshDiprifusor(0, 16, 55, 165)
assert isclose(marsh.v1, 0.22857 * 55, rel_tol=0.01) and marsh.k10 == 0.119
assert dose / first_dose(marsh, 3) > 1.7

print("ShaferW80's fentanyl, to 2 ng/ml:")
for age, weight, negative in ((50, 120, False), (85, 60, True), (85, 70, True)):
    model = fentanyl.ShaferW80(1, age, weight, 165)
    dose = first_dose(model, 2)
    print(f"  {age} years, {weight} kg: volume {model.v1:.2f} l, {dose:.1f} ug")
    assert (model.v1 < 0) == (dose < 0) == negative and model.warning == ""
    if not negative:
        assert model.v1 == fentanyl.Shafer(1, age, 70, 165).v1
for weight, published in ((52, 52), (70, 65), (100, 83), (120, 93), (160, 104)):
    part = 196.4 * exp(-0.025 * weight) - 53.66
    assert round(52 / (1 + part / 100)) in (published, published - 1)

clearance = biometrics.crcl_cockcroft_gault(0, 50, 70, 180, 80)
ideal = leanbodymass.idealbodyweight(180, "m")
published = (140 - 50) * ideal / (72 * 80 / 88.42)
print(f"Cockcroft and Gault: {clearance:.0f} ml/min; for an ideal {ideal} kg {published:.0f}")
assert round(clearance) == 157 and round(published) == 104 and ideal == 75.1

print("Fat-free mass at 40 years, 70 kg, 175 cm, and by PyTCI:")
for name, sex, letter, times in (("man", 0, "m", 1.08), ("woman", 1, "f", 1.0)):
    mass = biometrics.ffm_alsallami(sex, 40, 70, 175)
    other = leanbodymass.fat_free_mass(40, 175, 70, letter)
    print(f"  {name}: {mass:.1f} kg, {other:.1f} kg")
    assert isclose(mass / other, times, rel_tol=0.002)
woman = remifentanil.Eleveld(1, 35, 70, 170)
size = leanbodymass.fat_free_mass(35, 170, 70, "f") / leanbodymass.fat_free_mass(35, 170, 70, "m")
print(f"Eleveld's remifentanil, a woman: {woman.v1:.2f} l; with PyTCI's mass {5.81 * size:.2f}")
assert isclose(woman.v1 / (5.81 * size), 0.926, abs_tol=0.003)
PYTHON
