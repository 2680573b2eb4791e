"""`consortium run-config` and `encoder`: what `--set` accepts, and the digest of an encoder for it.

Each command loads what only it needs.
"""

import typer

from sites.plans import MINILM


def list_run_config() -> None:
    """List the keys of the run config, each with its default, range and meaning."""
    from consortium.config import DEFAULTS, SETTINGS
    from consortium.wording.formatting import setting_text

    for key, setting in SETTINGS.items():
        print(f"{key}={setting_text(DEFAULTS[key])}")
        print(f"    {setting.declaration.range}")
        print(f"    {setting.declaration.sentence}")


def show_encoder(
    base: str = typer.Argument(MINILM, help="The name of an encoder, or its directory."),
) -> None:
    """Show an encoder's folder and its digest, which is the run config's model-digest."""
    from sites.models.encoder_files import EncoderFiles  # imports transformers, which takes seconds

    files = EncoderFiles.find(base)
    print(files.folder)
    print(f"{files.config['model_type']}, digest {files.digest}")
