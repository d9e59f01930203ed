"""Several at once: processes that write the same file, threads that call the library."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zipllm
from tests.codec.engines import TEXT, bpe_engine, compress, decompress
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.engine import Engine, engine_from_model
from zipllm.model.build import build_model
from zipllm.tokenizer import ByteTokenizer

ROOT = Path(__file__).parents[1]
CONTENT = random.Random(9).randbytes(300_000)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zipllm", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)


@pytest.mark.parametrize("force", [False, True], ids=["first wins", "last wins"])
def test_processes_writing_the_same_file(tmp_path: Path, force: bool):
    (tmp_path / "a").write_bytes(CONTENT)
    running = [start(tmp_path, "compress", *(["-f"] if force else []), "a") for _ in range(4)]
    messages = [process.communicate(timeout=120)[1].decode() for process in running]
    codes = sorted(process.returncode for process in running)
    assert codes == ([0, 0, 0, 0] if force else [0, 1, 1, 1]), messages
    assert zipllm.decompress((tmp_path / "a.zllm").read_bytes()) == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["a", "a.zllm"]
    assert all("already exists" in message or " : " in message for message in messages)


def test_processes_removing_the_same_source(tmp_path: Path):
    """Whoever comes too late finds the source gone or the result there; the content is never lost."""
    (tmp_path / "a").write_bytes(CONTENT)
    running = [start(tmp_path, "compress", "--rm", "a") for _ in range(3)]
    for process in running:
        process.communicate(timeout=120)
    assert sorted(process.returncode for process in running) == [0, 1, 1]
    assert os.listdir(tmp_path) == ["a.zllm"]
    assert zipllm.decompress((tmp_path / "a.zllm").read_bytes()) == CONTENT


def tiny() -> Engine:
    return engine_from_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.mark.parametrize("make", [bpe_engine, tiny], ids=["counts", "transformer"])
def test_threads_share_an_engine(make):
    """Different contents at the same time give what they give alone."""
    engine = make()
    contents = [TEXT[index : index + 150 + 10 * index] for index in range(8)]
    alone = [compress(content, engine, lanes=1 + index % 3) for index, content in enumerate(contents)]

    def work(index: int) -> bool:
        archive = compress(contents[index], engine, lanes=1 + index % 3)
        return archive == alone[index] and decompress(archive, engine) == contents[index]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [*range(8)] * 3))


def test_threads_share_the_default_model():
    contents = [TEXT[index:200] for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        archives = list(pool.map(zipllm.compress, contents))
        assert list(pool.map(zipllm.decompress, archives)) == contents
    assert archives == [zipllm.compress(content) for content in contents]


def test_threads_with_files_of_their_own(tmp_path: Path):
    def work(index: int) -> bool:
        path, content = tmp_path / f"{index}.zllm", CONTENT[index * 1000 : index * 1000 + 20_000]
        with zipllm.open(path, "w", block_size=4096) as file:
            file.write(content)
        with zipllm.open(path) as file:
            file.seek(5000)
            return file.read() == content[5000:]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(12)))
