"""How long until FHIR bulk data are rows? Beside parsing the same lines with `json` and no more.

`python -m tests.benchmarks.fhir [--json]` from the root of the repository. Times are CPU times. The
memory is all that a process holds at its peak, with what it imports.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sites.data.source import FhirFiles
from tests.benchmarks.figures import options, print_figures

N_PATIENTS = 2_400
GIGABYTE = 1e9
CPU_TARGET_S = 60.0  # of a gigabyte
PEAK_TARGET_BYTES = 300_000_000
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
LABS = {"2823-3": "mmol/L", "2951-2": "mmol/L", "2160-0": "mg/dL", "718-7": "g/dL"}
UNUSED = ("29463-7", "8302-2", "39156-5", "72514-3")
Json = dict[str, Any]


def concept(system: str, code: str) -> Json:
    """Return a CodeableConcept as servers write it."""
    coding = {"system": system, "code": code, "display": f"what {code} is called in English"}
    return {"coding": [coding], "text": f"what {code} is called"}


def resource(kind: str, name: str, patient: int, **more: object) -> Json:
    """Return a resource about a patient, with what servers add to each."""
    meta = {
        "versionId": "1",
        "lastUpdated": "2024-11-05T10:11:12.131+01:00",
        "profile": [f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{kind.lower()}"],
    }
    about = {"reference": f"Patient/{patient:08}", "display": "a name"}
    return {"resourceType": kind, "id": name, "meta": meta, "subject": about, **more}


def observation(name: str, patient: int, code: str, day: str, **more: object) -> Json:
    """Return an observation with its categories and its visit."""
    category = concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")
    return resource(
        "Observation",
        name,
        patient,
        status="final",
        category=[category],
        code=concept(LOINC, code),
        encounter={"reference": f"Encounter/{patient}-visit"},
        effectiveDateTime=day,
        issued=day,
        **more,
    )


def quantity(value: float, unit: str) -> Json:
    """Return a Quantity in UCUM."""
    return {"value": round(value, 2), "unit": unit, "system": UCUM, "code": unit}


def resources_of(patient: int, rng: np.random.Generator) -> Iterator[Json]:
    """Yield what is known of a patient: some 100 resources, half of them used."""
    yield {
        "resourceType": "Patient",
        "id": f"{patient:08}",
        "gender": "female",
        "birthDate": f"{rng.integers(1930, 2000)}-05-03",
    }
    for n in range(8):
        ill = concept("http://hl7.org/fhir/sid/icd-10-cm", f"I{rng.integers(10, 60)}.{n}")
        yield resource(
            "Condition", f"{patient}-c{n}", patient, code=ill, onsetDateTime="2020-02-03"
        )
    for n in range(72):
        day = f"2024-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}T10:00:00.000+01:00"
        name = f"{patient}-o{n}"
        if n % 6 == 0:
            parts = [
                {
                    "code": concept(LOINC, code),
                    "valueQuantity": quantity(rng.normal(b, 9), "mm[Hg]"),
                }
                for code, b in (("8480-6", 130), ("8462-4", 80))
            ]
            yield observation(name, patient, "85354-9", day, component=parts)
        elif n % 2:
            code, unit = [*LABS.items()][n % len(LABS)]
            yield observation(
                name, patient, code, day, valueQuantity=quantity(rng.normal(5, 1), unit)
            )
        else:
            code = UNUSED[n // 2 % len(UNUSED)]
            yield observation(name, patient, code, day, valueQuantity=quantity(70, "kg"))


def declared_map() -> str:
    """Return a map of twelve columns, of half of the observations."""
    head = 'person = "patient"\n[index]\non = "2024-12-31"\n'
    head += '[columns.age]\nresource = "Patient"\nvalue = "age"\n'
    for name, code, unit, take in (
        *((f"lab-{code}", code, unit, "latest") for code, unit in LABS.items()),
        *((f"mean-{code}", code, unit, "mean") for code, unit in LABS.items()),
        ("systolic", "8480-6", "mm[Hg]", "max"),
        ("diastolic", "8462-4", "mm[Hg]", "min"),
    ):
        head += (
            f'[columns.{name}]\nresource = "Observation"\ncodes = ["{LOINC}|{code}"]\n'
            f'value = "quantity"\nunit = "{unit}"\ntake = "{take}"\nwithin_days = [-365, 0]\n'
        )
    return head + (
        '[columns.ischaemic]\nresource = "Condition"\ntake = "exists"\nwithin_days = "always"\n'
        'codes = ["http://hl7.org/fhir/sid/icd-10-cm|I2*"]\n'
    )


def write_export(folder: Path, n_patients: int) -> FhirFiles:
    """Write an export of so many patients, and its map."""
    rng = np.random.default_rng(1)
    export = folder / "export"
    export.mkdir()
    with (
        (export / "Patient.ndjson").open("w") as patients,
        (export / "Condition.ndjson").open("w") as conditions,
        (export / "Observation.ndjson").open("w") as observations,
    ):
        files = {"Patient": patients, "Condition": conditions, "Observation": observations}
        for patient in range(n_patients):
            for one in resources_of(patient, rng):
                line = json.dumps(one, separators=(",", ":"))
                files[one["resourceType"]].write(line + "\n")
    declared = folder / "map.toml"
    declared.write_text(declared_map())
    return FhirFiles(path=export, map=declared)


def measured_reading(export: Path, declared: Path) -> dict[str, float]:
    """Return CPU and memory of this process for rows of an export, and the CPU to parse it."""
    from sites.data.tables import read_table

    began = time.process_time()
    frame = read_table(FhirFiles(path=export, map=declared))
    cpu_s = time.process_time() - began
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    began = time.process_time()
    for path in export.iterdir():
        with path.open() as file:
            for line in file:
                json.loads(line)
    return {
        "rows": len(frame),
        "cpu_s": cpu_s,
        "parsing_cpu_s": time.process_time() - began,
        "peak_bytes": int(peak.split()[1]) * 1024,
    }


def figures(folder: Path, *, n_patients: int = N_PATIENTS) -> dict[str, float]:
    """Return the figures of one export, measured in a process of its own."""
    source = write_export(folder, n_patients)
    size = sum(path.stat().st_size for path in source.path.iterdir())
    places = [str(source.path), str(source.map)]
    code = (
        "import json, pathlib; from tests.benchmarks.fhir import measured_reading; "
        f"print(json.dumps(measured_reading(*map(pathlib.Path, {places}))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout)
    return {
        "bytes": size,
        **found,
        "cpu_s_a_gigabyte": found["cpu_s"] / size * GIGABYTE,
        "ratio": found["cpu_s"] / found["parsing_cpu_s"],
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    chosen = options(__doc__).parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder))
    held = (
        ("cpu_s of a gigabyte", found["cpu_s_a_gigabyte"], CPU_TARGET_S),
        ("peak_bytes", found["peak_bytes"], PEAK_TARGET_BYTES),
    )
    report = {
        "benchmark": "fhir",
        "baseline": "json.loads of each line",
        "figures": {what: round(figure, 4) for what, figure in found.items()},
        "missed": [
            {"what": what, "figure": round(figure, 4), "target": target}
            for what, figure, target in held
            if figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }
    print_figures(report, as_json=chosen.json)


if __name__ == "__main__":
    main()
