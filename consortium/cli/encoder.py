"""`consortium encoder`: which encoder lies on this machine, so that sites can compare."""

import typer

from sites.plans import MINILM


def show_encoder(
    base: str = typer.Argument(MINILM, help="A name, or the directory of an encoder."),
) -> None:
    """Say where an encoder lies and what its digest is, for the run config's model-digest."""
    from sites.models.encoder_files import EncoderFiles  # transformers is loaded where it is needed

    files = EncoderFiles.find(base)
    print(files.folder)
    print(f"{files.config['model_type']}, digest {files.digest}")
