"""`consortium encoder`: show an encoder's folder and digest.

A module of its own because only this command imports the encoders.
"""

import typer

from sites.plans import MINILM


def show_encoder(
    base: str = typer.Argument(MINILM, help="The name of an encoder, or its directory."),
) -> None:
    """Show an encoder's folder and its digest, which is the run config's model-digest."""
    from sites.models.encoder_files import EncoderFiles  # imports transformers, which takes seconds

    files = EncoderFiles.find(base)
    print(files.folder)
    print(f"{files.config['model_type']}, digest {files.digest}")
