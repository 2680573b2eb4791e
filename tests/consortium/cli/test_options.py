import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.cli.options import (
    BadOption,
    parse_data_source,
    parse_data_sources,
    parse_one_source,
    parse_overrides,
)
from consortium.config import DEFAULTS, KEYS, BadConfig, RunConfig, Scalar
from consortium.site.directory import read_site_config
from privacy.errors import ConsortiumError
from sites.data.reading import BadReading, Reading
from sites.data.source import FhirFiles, OmopDatabase, SqlQuery, TableFile, source_paths


@given(key=st.sampled_from(sorted(KEYS)))
def test_a_setting_takes_the_type_of_its_key(key: str) -> None:
    """For example, `model=1e3` is a name and `learning-rate=1e-3` is a number."""
    default = KEYS[key]
    typed = default if isinstance(default, str) else json.dumps(default)
    assert parse_overrides([f"{key}={typed}"]) == {key: default}
    assert type(parse_overrides([f"{key}={typed}"])[key]) is type(default)


@given(
    settings=st.lists(
        st.one_of(
            st.text(max_size=30),
            st.builds("{}={}".format, st.sampled_from(sorted(KEYS)), st.text(max_size=20)),
        ),
        max_size=3,
    )
)
def test_whatever_is_typed_becomes_a_config_or_a_refusal(settings: list[str]) -> None:
    try:
        config = RunConfig.parse(parse_overrides(settings))
    except ConsortiumError:
        return
    assert isinstance(config, RunConfig)


def test_the_last_of_two_settings_counts() -> None:
    assert parse_overrides(["seed=1", "seed=2"]) == {"seed": 2}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_overrides(["rule.name=a=b"]) == {"rule.name": "a=b"}


@pytest.mark.parametrize("setting", ["rounds", "", "=3", "--seed"])
def test_what_is_no_setting_is_refused_as_it_was_typed(setting: str) -> None:
    with pytest.raises(BadOption, match="needs key=value") as refused:
        parse_overrides([setting])
    assert f"'{setting}'" in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lerning-rate=1", "did you mean 'learning-rate'"),
        ("learning-rate=fast", "learning-rate needs a float, got 'fast'"),
        ("quorum=[2]", r"quorum needs a int, got '\[2\]'"),
        ("quorum=null", "quorum needs a int, got 'null'"),
        ("quorum=", "quorum needs a int, got ''"),
        (f"seed={'9' * 5_000}", "seed needs a int, got '9999"),
    ],
)
def test_a_bad_setting_is_refused_with_what_was_expected(setting: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        parse_overrides([setting])


def test_a_number_out_of_range_is_refused_when_the_config_is_made() -> None:
    with pytest.raises(BadConfig, match=r"quorum: .* greater than or equal to 1, got 0"):
        RunConfig.parse(parse_overrides(["quorum=0"]))


def test_a_file_is_named_whole_so_that_it_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert parse_data_source("own.csv") == TableFile(path=tmp_path / "own.csv")


def test_a_query_may_hold_any_sign() -> None:
    source = parse_data_sources(["north=sqlite:///a.db::SELECT a::text FROM b WHERE c = 'd=e'"])[
        "north"
    ]
    assert isinstance(source, SqlQuery)
    assert (source.url, source.query) == (
        "sqlite:///a.db",
        "SELECT a::text FROM b WHERE c = 'd=e'",
    )


@pytest.mark.parametrize("text", ["north=", "=own.csv", ""])
def test_what_is_no_source_of_a_site_is_refused_as_it_was_typed(text: str) -> None:
    with pytest.raises(BadOption, match="needs site=file or site=url::query") as refused:
        parse_data_sources([text])
    assert f"'{text}'" in str(refused.value)


@pytest.mark.parametrize("text", ["sqlite:///a.db", "postgresql://host/db::"])
def test_a_database_without_a_query_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="write url::query") as refused:
        parse_data_source(text)
    assert "host" not in str(refused.value)  # a URL may hold a password


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"there is no file {tmp_path}/nowhere.csv"):
        parse_data_source(str(tmp_path / "nowhere.csv"))


def scalar(text: str) -> Scalar:
    return next(iter(parse_overrides([text]).values()))


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1", 1), ("0.5", 0.5)])
def test_numbers_are_written_as_in_json(text: str, value: float) -> None:
    assert scalar(f"learning-rate={text}") == value


def test_the_keys_of_the_run_config_are_listed_with_default_range_and_sentence() -> None:
    done = CliRunner().invoke(app, ["run-config"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.partition("=")[0] for line in lines[::3]] == list(KEYS)
    assert lines[lines.index("local-epochs=1") :][:3] == [
        "local-epochs=1",
        "    whole number, at least 1, at most 1,000",
        "    Passes over a site's training records in a round.",
    ]


@pytest.mark.parametrize("command", ["run", "site check"])
def test_help_on_settings_says_where_the_keys_are_listed(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert "`consortium run-config` lists the keys" in done.output


def test_what_is_listed_can_be_set() -> None:
    listed = CliRunner().invoke(app, ["run-config"]).output.splitlines()[::3]
    assert parse_overrides(listed) == DEFAULTS


def test_a_word_holds_for_the_source_before_it_and_one_before_all_for_all(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    given_words = ["decimal:comma", f"a={tmp_path}/a.csv", f"b={tmp_path}/b.csv", "separator:tab"]
    sources = parse_data_sources(given_words)
    german = Reading(decimal=",")
    assert sources == {
        "a": TableFile(path=tmp_path / "a.csv", reading=german),
        "b": TableFile(path=tmp_path / "b.csv", reading=german, separator="\t"),
    }


@pytest.mark.parametrize("given_words", [[], ["decimal:comma"], ["own.csv", "other.csv"]])
def test_one_source_is_one(
    given_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").touch()
    (tmp_path / "other.csv").touch()
    with pytest.raises(BadOption, match="--data needs one file"):
        parse_one_source(given_words)


def test_what_looks_like_a_word_is_not_taken_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    with pytest.raises(BadReading, match="did you mean 'missing'"):
        parse_one_source([str(tmp_path / "own.csv"), "mising:-9"])


def test_a_site_is_set_up_with_the_words_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    words = ["--data", f"{tmp_path}/own.csv", "--data", "decimal:comma", "--data", "persons:rows"]
    ask = ["site", "init", str(tmp_path / "north"), "--name", "north", "--data-set", "ward-7"]
    said = CliRunner().invoke(app, [*ask, *words])
    assert said.exit_code == 0, said.output
    assert "NOTICE: no column says whose a record is" in said.output
    config = read_site_config(tmp_path / "north")
    assert config.source.reading == Reading(decimal=",", persons="rows")
    assert config.data_set == "ward-7"


def test_fhir_files_are_named_with_their_map(tmp_path: Path) -> None:
    """Either may hold a comma, and words hold for them as for a file."""
    folder, declared = tmp_path / "a,b", tmp_path / "m,map.toml"
    folder.mkdir()
    declared.touch()
    typed = f"fhir:{folder},map:{declared}"
    found = FhirFiles(path=folder, map=declared)
    assert parse_data_sources([f"north={typed}"]) == {"north": found}
    assert parse_one_source([typed]) == found
    assert source_paths(found) == (folder, declared)
    with_word = parse_one_source([typed, "missing:sex=unknown"])
    assert with_word.reading == Reading(missing_in={"sex": ("unknown",)})
    with pytest.raises(BadReading, match="'encoding:' is said of files that end in"):
        parse_one_source([typed, "encoding:cp1252"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("fhir:{0}", "need their map: fhir:FOLDER,map:FILE"),
        ("fhir:,map:{0}", "need their map"),
        ("fhir:{0},map:", "need their map"),
        ("fhir:{0},map:{0}/none.toml", "there is no file or directory .*none.toml"),
        ("fhir:{0}/none,map:{0}", "there is no file or directory .*none"),
        ("fihr:{0},map:{0}", "there is no word 'fihr'"),
    ],
)
def test_fhir_files_that_are_not_there_are_named(typed: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConsortiumError, match=told):
        parse_one_source([typed.format(tmp_path)])


def test_a_site_is_set_up_with_fhir_files(tmp_path: Path) -> None:
    (tmp_path / "ward.toml").touch()
    typed = ["--data", f"fhir:{tmp_path},map:{tmp_path}/ward.toml"]
    said = CliRunner().invoke(
        app, ["site", "init", str(tmp_path / "north"), "--name", "north", *typed]
    )
    assert said.exit_code == 0, said.output
    source = FhirFiles(path=tmp_path, map=tmp_path / "ward.toml")
    assert read_site_config(tmp_path / "north").source == source


def test_an_omop_database_is_named_with_its_map(tmp_path: Path) -> None:
    declared = tmp_path / "ward.toml"
    declared.touch()
    for typed, url in (
        ("sqlite:///a,b.db", "sqlite:///a,b.db"),
        ("postgresql+psycopg://u:secret@host/cdm", "postgresql+psycopg://u:secret@host/cdm"),
        (f"{tmp_path}/cdm.duckdb", f"{tmp_path}/cdm.duckdb"),
    ):
        found = OmopDatabase(url=url, map=declared)
        option = f"omop:{typed},map:{declared}"
        assert parse_data_sources([f"north={option}"]) == {"north": found}
        assert parse_one_source([option]) == found
        assert "secret" not in repr(found)
    assert source_paths(found) == (declared,)
    beside = parse_data_source("omop:cdm.duckdb,map:ward.toml", folder=tmp_path)
    assert beside == OmopDatabase(url=f"{tmp_path}/cdm.duckdb", map=declared)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("omop:postgresql://u:secret@host/cdm", "needs its map: omop:URL,map:FILE"),
        ("omop:,map:ward.toml", "needs its map"),
        ("omop:postgresql://u:secret@host/cdm,map:none.toml", "there is no file .*none.toml"),
        ("omop:cdm.db,map:ward.toml", "a URL such as sqlite:///ward.db, or a file of DuckDB"),
        ("omup:cdm.db,map:ward.toml", "there is no word 'omup'"),
    ],
)
def test_an_omop_database_that_is_not_whole_is_refused_without_its_password(
    typed: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ward.toml").touch()
    with pytest.raises(ConsortiumError, match=told) as refused:
        parse_one_source([typed])
    assert "secret" not in str(refused.value)
