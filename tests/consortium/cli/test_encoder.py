from typer.testing import CliRunner

from consortium.cli.main import app
from sites.models.encoder_files import EncoderFiles
from tests.sites.small_encoders import small


def test_an_encoders_digest_is_said() -> None:
    found = CliRunner().invoke(app, ["encoder", small()])
    assert found.exit_code == 0
    assert EncoderFiles.named(small()).digest in found.output
    assert "bert" in found.output
