"""A site's operator deletes the secrets of masked runs, and they are gone."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.cli.site import app
from consortium.site.directory import SiteDirectory
from consortium.site.masked_runs import NothingToForget, forget_open_runs, forget_run, open_runs
from privacy.secrets.masked_runs.pair_memory import KeptPairKey
from privacy.secrets.replay_guard import MEMORY
from privacy.storage import sqlite as sqlite_module
from tests.consortium.client.masked.conftest import Standing
from tests.masked_by_hand import ByHand, memory_of
from tests.small_consortium import Consortium, forget_processes
from tests.typed import lines, typed


def site_of(run: ByHand, name: str = "west") -> Path:
    return run.consortium.run.site(name)


def secrets_of(run: ByHand, name: str = "west") -> list[bytes]:
    """Return every pair secret that a site keeps of the run."""
    kept = memory_of(run.places[name]).pairs.pair_secrets(run.run)
    return [pair.secret for pair in kept.values()]


def files_of(site: Path) -> bytes:
    """Return all bytes that lie in a site's memory: free pages and write-ahead log included."""
    found = [path for path in SiteDirectory(site).memory.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in found)


def test_the_runs_that_stand_open_are_listed(counted: Standing) -> None:
    run, _ = counted
    assert typed(app, "forget", site_of(run)).split() == [run.run]


def test_the_secrets_of_a_forgotten_run_are_gone_and_the_site_takes_no_further_part(
    counted: Standing,
) -> None:
    run, gathered = counted
    secrets = secrets_of(run)
    assert len(secrets) == 3
    assert all(secret in files_of(site_of(run)) for secret in secrets)
    assert f"forgot {run.run}" in typed(app, "forget", site_of(run), run.run)
    assert not any(secret in files_of(site_of(run)) for secret in secrets)
    assert open_runs(site_of(run)) == ()
    forget_processes()
    asked = run.confirmation_request(gathered, "west").content()
    assert run.refusal("west", "query.confirm", asked) in {"key-burned", "run-forgotten"}


def test_who_forgets_is_told_that_another_process_reads_what_was_deleted(
    counted: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = counted
    monkeypatch.setattr(sqlite_module, "_PATIENCE_S", 0.05)
    secrets, store = secrets_of(run), SiteDirectory(site_of(run)).memory / MEMORY.file
    with closing(sqlite3.connect(store, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM pair_secrets").fetchall()
        said = typed(app, "forget", site_of(run), run.run, status=1)
        assert f"forgot {run.run}" in said
        assert "still in its log" in said
        assert all(secret in files_of(site_of(run)) for secret in secrets)
    assert "no run stands open" in typed(app, "forget", site_of(run))
    assert not any(secret in files_of(site_of(run)) for secret in secrets)


def test_what_was_forgotten_is_in_the_sites_log(counted: Standing) -> None:
    run, _ = counted
    typed(app, "forget", site_of(run), run.run)
    noted = [line["entry"] for line in lines(SiteDirectory(site_of(run)).audit_log)]
    told = [one["facts"]["runs"] for one in noted if one["kind"] == "forgotten"]
    assert told == [run.run]
    assert {one["facts"].get("masks") for one in noted if one["kind"] == "run"} == {"yes"}


def test_all_open_runs_go_with_the_unused_keys(counted: Standing) -> None:
    """As after a memory was put back: which run took an unused key since, it does not know."""
    run, _ = counted
    pairs = memory_of(run.places["west"]).pairs
    unused = KeptPairKey(offer=b"offer of a key", material=b"a private key that no run has")
    pairs.keep_unused_key(run.charter, unused)
    said = typed(app, "forget", site_of(run), "--all-open")
    assert said.splitlines() == [f"forgot {run.run}: it can go on without this site only"]
    assert unused.material not in files_of(site_of(run))
    assert "no run stood open" in typed(app, "forget", site_of(run), "--all-open")


def test_a_run_of_which_nothing_is_kept_is_not_forgotten(counted: Standing, tmp_path: Path) -> None:
    run, _ = counted
    with pytest.raises(NothingToForget, match="keeps no secrets of run other"):
        forget_run(site_of(run), "other")
    assert typed(app, "forget", site_of(run), run.run, "--all-open", status=2)


def test_a_site_that_remembers_nothing_yet_has_nothing_to_forget(counted: Standing) -> None:
    run, _ = counted
    site = site_of(run, "east")
    shutil.rmtree(SiteDirectory(site).memory)
    assert open_runs(site) == forget_open_runs(site) == ()
    with pytest.raises(NothingToForget):
        forget_run(site, run.run)
    assert not SiteDirectory(site).memory.exists()


@pytest.mark.parametrize(("kept_days", "stays"), [(4, False), (6, True)])
def test_a_run_that_never_ended_is_forgotten_after_the_days_that_the_operator_chose(
    tmp_path: Path, kept_days: int, stays: bool
) -> None:
    """When the next run begins."""
    run = ByHand(Consortium.placed(tmp_path / "run"))
    written = SiteDirectory(site_of(run)).config
    written.write_text(json.dumps({**json.loads(written.read_text()), "keep_keys_days": kept_days}))
    pairs, old = memory_of(run.places["west"]).pairs, KeptPairKey(offer=b"old", material=b"key")
    pairs.keep_unused_key(run.charter, old)
    begun = datetime.now(UTC).date().toordinal() - 5
    pairs.begin_run(run.charter, "old", offer=old.offer, day=begun)
    run.set_up()
    assert open_runs(site_of(run)) == (("old", run.run) if stays else (run.run,))
