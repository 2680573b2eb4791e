"""A site's operator declares a period once, and the same records are not for two of them."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.run.records import write_record
from consortium.site.directory import read_site_config
from consortium.site.periods import (
    NoSuchPeriod,
    OwnCount,
    PeriodChanged,
    PeriodMemory,
    RecordsOfAnotherPeriod,
    config_of_period,
    declare_period,
    require_declared_records,
)
from sites.data.source import TableFile, with_words
from tests.small_consortium import Consortium, records


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return Consortium.placed(tmp_path, ("east", "west")).run.site("east")


def file_of(site: Path, name: str) -> TableFile:
    path = site / f"{name}.csv"
    records(name).to_csv(path, index=False)
    return TableFile(path=path)


def test_the_same_records_are_in_one_period_and_not_in_training(site: Path) -> None:
    march = file_of(site, "march")
    declare_period(site, "march", march)
    with pytest.raises(RecordsOfAnotherPeriod, match="march"):
        declare_period(site, "april", march)
    with pytest.raises(RecordsOfAnotherPeriod, match="trains on"):
        declare_period(site, "april", read_site_config(site).source)
    declare_period(site, "march", march)  # said twice, it is the same


def test_until_they_are_counted_other_records_may_take_their_place(site: Path) -> None:
    declare_period(site, "march", file_of(site, "march"))
    later = declare_period(site, "march", file_of(site, "more"))
    count = OwnCount(model="00" * 32, score_bins=b"", tally=np.arange(3))
    with PeriodMemory.at(site) as memory:
        memory.keep_count("march", count, fingerprint=later.fingerprint)
        (kept,) = memory.counts("march")
    assert kept.tally.tolist() == [0, 1, 2]
    with pytest.raises(PeriodChanged, match="next period"):
        declare_period(site, "march", file_of(site, "march"))
    require_declared_records(site, "march", later.fingerprint)
    with pytest.raises(PeriodChanged, match="declared"):
        require_declared_records(site, "march", "0" * 64)


def test_other_words_for_the_same_file_do_not_make_other_records_of_it(site: Path) -> None:
    march, word = file_of(site, "march"), ["missing:pressure=-999"]
    declare_period(site, "march", march)
    with pytest.raises(RecordsOfAnotherPeriod, match="march"):
        declare_period(site, "april", with_words(march, word))
    with pytest.raises(RecordsOfAnotherPeriod, match="march"):
        declare_period(site, "april", with_words(march, ["encoding:latin-1"]))
    with pytest.raises(RecordsOfAnotherPeriod, match="trains on"):
        declare_period(site, "april", with_words(read_site_config(site).source, word))
    declare_period(site, "march", with_words(march, word))  # not counted yet
    with pytest.raises(RecordsOfAnotherPeriod, match="march"):
        declare_period(site, "april", march)


def test_two_sheets_of_a_workbook_are_two_tables_and_one_is_not(site: Path) -> None:
    path = site / "quarter.xlsx"
    path.write_bytes(b"only its digest is asked for")
    declare_period(site, "march", TableFile(path=path, sheet="March"))
    declare_period(site, "april", TableFile(path=path, sheet="April"))
    for sheet in ("March", None):
        with pytest.raises(RecordsOfAnotherPeriod, match="these are the records"):
            declare_period(site, "may", TableFile(path=path, sheet=sheet))


def test_what_was_declared_anew_meanwhile_is_not_counted_as_it_was(site: Path) -> None:
    """Else both would be counted under one name, and their difference would be single persons."""
    before = declare_period(site, "march", file_of(site, "march"))
    declare_period(site, "march", file_of(site, "more"))
    count = OwnCount(model="00" * 32, score_bins=b"", tally=np.arange(3))
    with PeriodMemory.at(site) as memory:
        with pytest.raises(PeriodChanged, match="declared"):
            memory.keep_count("march", count, fingerprint=before.fingerprint)
        with pytest.raises(NoSuchPeriod, match="april"):
            memory.keep_count("april", count, fingerprint=before.fingerprint)
        assert not memory.counts("march")


def test_a_period_has_another_name_than_the_records_of_training(site: Path) -> None:
    config = read_site_config(site).model_copy(update={"data_set": "period-march"})
    write_record(site / "site.json", config)
    with pytest.raises(RecordsOfAnotherPeriod, match="another name"):
        declare_period(site, "march", file_of(site, "march"))
    declare_period(site, "april", file_of(site, "march"))


def test_a_period_is_a_data_set_of_its_own(site: Path) -> None:
    config, march = read_site_config(site), file_of(site, "march")
    with pytest.raises(NoSuchPeriod, match="march"):
        config_of_period(site, config, "march")
    declare_period(site, "march", march)
    found = config_of_period(site, config, "march")
    assert (found.data_set, found.source, found.name) == ("period-march", march, config.name)


def test_the_operator_declares_and_lists_periods(site: Path) -> None:
    source = file_of(site, "march")
    said = CliRunner().invoke(app, ["site", "period", str(site)])
    assert said.output == "no period is declared\n"
    said = CliRunner().invoke(
        app, ["site", "period", str(site), "march", "--data", str(source.path)]
    )
    assert said.exit_code == 0, said.output
    said = CliRunner().invoke(app, ["site", "period", str(site)])
    assert said.output == f"march: {source.path}\n  not counted yet\n"
    assert CliRunner().invoke(app, ["site", "period", str(site), "april"]).exit_code == 2
