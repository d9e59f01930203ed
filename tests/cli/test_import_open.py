"""``zipllm model import`` of open models: GGUF files and folders become models that compress; bad ones are one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.processes import Outcome
from tests.foreign.gguf_bytes import file as gguf_file
from tests.foreign.test_convert import TEXT
from tests.foreign.tiny_checkpoints import LLAMA, Tiny, save_folder, save_gguf

Inside = Callable[..., Outcome]


@pytest.mark.parametrize("form", ["file", "folder"])
def test_import_and_compress(form: str, inside: Inside, tmp_path: Path) -> None:
    if form == "file":
        pytest.importorskip("gguf")
    source = save_gguf(tmp_path / "m.gguf", LLAMA) if form == "file" else save_folder(tmp_path / "m")
    done = inside("model", "import", source, "-o", "tiny", "--window", "32", "--keep", "1")
    assert done.code == 0, done.err
    assert "imported as tiny" in done.err
    assert "Gap" in done.err
    (shown,) = [json.loads(line) for line in inside("model", "show", "tiny", "--json").out.splitlines()]
    assert (shown["config"]["architecture"], shown["config"]["window"], shown["config"]["kept"]) == ("llama", 32, 1)
    Path("f").write_bytes(TEXT)
    assert inside("compress", "-q", "--model", "tiny", "f").code == 0
    assert inside("decompress", "-q", "-c", "f.zllm").out == TEXT


def test_a_name_that_is_taken_is_refused_before_the_work(inside: Inside, tmp_path: Path) -> None:
    source = save_folder(tmp_path / "m")
    assert inside("model", "import", "-q", source, "-o", "tiny").code == 0
    again = inside("model", "import", source, "-o", "tiny")
    assert (again.code, "already installed" in again.err, "Gap" in again.err) == (1, True, False)
    assert inside("model", "import", "-q", "-f", source, "-o", "tiny").code == 0
    assert inside("model", "import", source, "-o", "small").code == 2


@pytest.mark.parametrize(
    "content", [gguf_file([], []), b"GGUF", b"GGUF" + b"\xff" * 100, b"GGUF" + np.random.default_rng(0).bytes(5_000)]
)
def test_damaged_files_are_one_line_and_exit_4(content: bytes, inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    done = inside("model", "import", tmp_path / "bad.gguf")
    assert done.code == 4
    assert len(done.err.splitlines()) == 1


def test_other_networks_are_refused_by_name(inside: Inside, tmp_path: Path) -> None:
    source = save_folder(tmp_path / "m", Tiny(), model_type="gemma3", architectures=["Gemma3ForCausalLM"])
    done = inside("model", "import", source)
    assert done.code == 4
    assert "gemma3" in done.err.lower()
