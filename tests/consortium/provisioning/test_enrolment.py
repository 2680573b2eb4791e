import json
import shutil
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consortium.provisioning.enrolment import (
    PublicHalf,
    init_site,
    public_half,
    renew_node_key,
)
from consortium.provisioning.public_halves import BadPublicHalf
from consortium.site.directory import BadSite, SiteDirectory, read_identity, read_site_config
from privacy.identity.public_identity import BadSignature
from privacy.storage.secret_files import ExposedSecret, SecretExists
from sites.data.source import TableFile, with_words

SOURCE = TableFile(path=Path("records.csv"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    init_site(tmp_path / "north", name="north", source=SOURCE)
    return tmp_path / "north"


def test_whatever_is_secret_is_its_owners_only(site: Path) -> None:
    secrets = [path for path in (site / "secrets").rglob("*") if path.is_file()]
    assert {path.name for path in secrets} == {"identity.secret", "node.key", "sides.secret"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(site.stat().st_mode) == 0o700


def test_a_site_is_what_its_operator_said(site: Path) -> None:
    config = read_site_config(site)
    assert (config.name, config.source) == ("north", SOURCE)
    assert read_identity(site).name == "north"


def test_the_name_that_the_ledger_counts_by_is_chosen(tmp_path: Path) -> None:
    init_site(tmp_path / "north", name="north", source=SOURCE, data_set="ward-7")
    assert read_site_config(tmp_path / "north").data_set == "ward-7"


@pytest.mark.parametrize(("name", "data_set"), [("North", "records"), ("north", "Ward 7")])
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(
    name: str, data_set: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSite, match="a name begins with a small letter"):
        init_site(tmp_path / "north", name=name, source=SOURCE, data_set=data_set)
    assert not (tmp_path / "north").exists()


def test_no_site_has_the_name_of_the_coordinators_kit(tmp_path: Path) -> None:
    with pytest.raises(BadSite, match="another name"):
        init_site(tmp_path / "north", name="coordinator", source=SOURCE)
    assert not (tmp_path / "north").exists()


def test_a_site_is_not_set_up_twice(site: Path) -> None:
    before = (site / "secrets" / "identity.secret").read_bytes()
    with pytest.raises(SecretExists, match=r"copy its site\.json to"):
        init_site(site, name="north", source=SOURCE)
    assert (site / "secrets" / "identity.secret").read_bytes() == before


def test_a_site_reads_its_records_otherwise_by_the_site_json_of_another_directory(
    site: Path, tmp_path: Path
) -> None:
    """Its keys stay those in the charter."""
    half = public_half(site)
    source = with_words(SOURCE, ["separator:semicolon", "decimal:comma"])
    init_site(tmp_path / "other", name="north", source=source)
    shutil.copy(tmp_path / "other" / "site.json", site / "site.json")
    assert read_site_config(site).source == source
    assert public_half(site) == half


def test_a_directory_open_to_others_holds_no_site(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ExposedSecret):
        init_site(tmp_path / "open", name="north", source=SOURCE)
    assert not any((tmp_path / "open").iterdir())


def test_the_public_half_comes_back_as_it_was_written_and_holds_nothing_secret(
    site: Path, tmp_path: Path
) -> None:
    half = public_half(site)
    half.write(tmp_path / "half.json")
    assert PublicHalf.read(tmp_path / "half.json") == half
    written = (tmp_path / "half.json").read_text()
    assert "PRIVATE" not in written
    secret = (site / "secrets" / "identity.secret").read_text().split("\n")[1]
    assert secret[:64] not in written
    assert secret[64:] not in written


@pytest.mark.parametrize("part", ["name", "signing", "receiving", "node"])
def test_a_public_half_altered_on_its_way_is_refused(site: Path, tmp_path: Path, part: str) -> None:
    init_site(tmp_path / "other", name="other", source=SOURCE)
    other = public_half(tmp_path / "other")
    forged = public_half(site).model_copy(update={part: getattr(other, part)})
    forged.write(tmp_path / "forged.json")
    with pytest.raises(BadSignature):
        PublicHalf.read(tmp_path / "forged.json")


def test_flower_reads_the_key_of_the_node(site: Path) -> None:
    """The format that `flower-supernode` accepts; it exits with code 302 on another kind of PEM."""
    key = serialization.load_ssh_private_key(SiteDirectory(site).node_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert (
        SiteDirectory(site).node_key.read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    )


def test_renewal_changes_the_nodes_key_and_nothing_else(site: Path) -> None:
    before, after = public_half(site), renew_node_key(site)
    after.verify()
    assert after.node != before.node
    assert after.member == before.member
    assert stat.S_IMODE(SiteDirectory(site).node_key.stat().st_mode) == 0o600


def test_a_directory_without_a_site_has_no_public_half(tmp_path: Path) -> None:
    with pytest.raises(BadSite):
        public_half(tmp_path)


def test_a_site_without_a_nodes_key_says_so(site: Path) -> None:
    SiteDirectory(site).node_key.unlink()
    with pytest.raises(BadPublicHalf):
        public_half(site)


def test_the_public_half_is_plain_json(site: Path) -> None:
    said = json.loads(public_half(site).model_dump_json())
    assert set(said) == {"version", "name", "signing", "receiving", "node", "signature"}
