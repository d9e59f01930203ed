"""The one metadata string of a model file: format, config, card, self-test and the id it claims.

Needs neither torch nor numpy, so models can be listed and looked up by their headers alone.
"""

from dataclasses import dataclass
from typing import Any

from zipllm.errors import LimitExceeded, ModelInvalid
from zipllm.model.architecture import config_from_dict
from zipllm.model.config import NetworkConfig
from zipllm.model_file.canonical_json import dump_json, load_json
from zipllm.model_file.card import Card, card_from_dict
from zipllm.model_file.limits import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, ModelLimits

FORMAT = 0
"""Version of the model file. 0 until the first release: files of development builds are not kept readable."""


@dataclass(frozen=True)
class Metadata:
    """What the header says about the model.

    Attributes:
        config: shape of the network; an exportable one within the limits.
        card: provenance and measurements.
        model_id: the id the file claims; true only once the whole file was loaded.
        self_test: unchecked JSON value, see ``self_test.self_test_from_dict``.
    """

    config: NetworkConfig
    card: Card
    model_id: bytes
    self_test: Any


def dump_metadata(metadata: Metadata) -> str:
    """Return the canonical JSON string for the header."""
    value = {
        "format": FORMAT,
        "config": metadata.config.to_dict(),
        "card": metadata.card.to_dict(),
        "model_id": metadata.model_id.hex(),
        "self_test": metadata.self_test,
    }
    return dump_json(value).decode("ascii")


def parse_metadata(text: str, limits: ModelLimits) -> Metadata:
    """Check the metadata string. Raises ``ModelInvalid`` or ``LimitExceeded``."""
    value = load_json(text.encode("utf-8"), what="metadata", max_bytes=MAX_METADATA_BYTES, max_depth=MAX_METADATA_DEPTH)
    if not isinstance(value, dict) or type(value.get("format")) is not int:
        raise ModelInvalid("metadata has no format number")
    if value["format"] != FORMAT:
        raise ModelInvalid(f"model file format {value['format']} is not supported; this build reads format {FORMAT}")
    if set(value) != {"format", "config", "card", "model_id", "self_test"}:
        raise ModelInvalid("metadata does not have exactly the fields format, config, card, model_id and self_test")
    return Metadata(
        config=_config(value["config"], limits),
        card=card_from_dict(value["card"]),
        model_id=digest_from_hex(value["model_id"], "model_id"),
        self_test=value["self_test"],
    )


def _config(value: object, limits: ModelLimits) -> NetworkConfig:
    """Restore the config, refusing one whose sizes could exhaust memory."""
    config = config_from_dict(value)
    try:
        config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    if config.state_bytes > limits.state_bytes:
        raise LimitExceeded(
            f"the model needs {config.state_bytes} bytes of state a lane, more than the {limits.state_bytes} allowed",
            "state_bytes",
        )
    return config


def digest_from_hex(value: object, what: str) -> bytes:
    """Parse 64 lower-case hexadecimal digits. Raises ``ModelInvalid``."""
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise ModelInvalid(f"{what} is not 64 hexadecimal digits")
    return bytes.fromhex(value)
