"""The archive format: coded blocks <-> bytes of a file. FORMAT.md is its specification.

It knows nothing of models and coders: payloads are bytes here. ``ArchiveWriter`` and ``ArchiveReader`` work on
pipes; ``scan`` and ``read_payload`` find and fetch single blocks.
"""

from zipllm.container.block import Block, BlockHeader, Coding, CodingParameters, check_block
from zipllm.container.checksum import crc32
from zipllm.container.header import MAGIC, ArchiveHeader
from zipllm.container.limits import Limits
from zipllm.container.model_record import ModelHeader, ModelRecord
from zipllm.container.reader import ArchiveReader, Record, Scanned, read_payload, scan
from zipllm.container.source import Seekable
from zipllm.container.survey import Found, Hole, survey
from zipllm.container.trailer import ContentHash, End
from zipllm.container.writer import ArchiveWriter

__all__ = [
    "MAGIC",
    "ArchiveHeader",
    "ArchiveReader",
    "ArchiveWriter",
    "Block",
    "BlockHeader",
    "Coding",
    "CodingParameters",
    "ContentHash",
    "End",
    "Found",
    "Hole",
    "Limits",
    "ModelHeader",
    "ModelRecord",
    "Record",
    "Scanned",
    "Seekable",
    "check_block",
    "crc32",
    "read_payload",
    "scan",
    "survey",
]
