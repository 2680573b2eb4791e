from scenarios.attacks.assignment import AttackAssignment
from scenarios.experiments.record_checks import check_sites
from scenarios.library import careless_hospital


def test_each_site_finds_the_same_as_in_a_run() -> None:
    scenario = careless_hospital.SCENARIO
    lies = AttackAssignment(seed=7, attacks=scenario.faults)
    found = check_sites(scenario, scenario.config_with({}), {}, lies=lies)
    alarms = {name: [one.kind for one in told if one.alarming] for name, told in found.items()}
    assert alarms["va-long-beach"] == ["units"]
    assert alarms["hungary"] == ["labels"]
    assert alarms["switzerland"] == []
