"""The archive format: coded blocks <-> bytes of a file. FORMAT.md is its specification.

Payloads are plain bytes here. ``ArchiveWriter`` and ``ArchiveReader`` work on pipes; ``scan`` and ``read_payload`` find
and fetch single blocks.

writer        records -> an archive, on any sink
reader        an archive -> records, from any source
survey        intact records behind the damage of an archive
header        the header and the END of an archive, and the check of its content
block         one coded block
samples       where its samples lie, if it is sound or a picture
model_record  names the model of the blocks that follow
record        the frame of all records: varints, CRC-32, fields
streams       whole reads and writes on files, pipes and sockets
limits        how large an archive may be
"""

from zipllm.container.block import Block, BlockHeader, Coding, CodingParameters, check_block
from zipllm.container.header import MAGIC, ArchiveHeader, ContentHash, End
from zipllm.container.limits import Limits
from zipllm.container.model_record import ModelHeader, ModelRecord
from zipllm.container.reader import ArchiveReader, Record, Scanned, read_payload, read_record, scan
from zipllm.container.streams import Seekable
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
    "Limits",
    "ModelHeader",
    "ModelRecord",
    "Record",
    "Scanned",
    "Seekable",
    "check_block",
    "read_payload",
    "read_record",
    "scan",
]
