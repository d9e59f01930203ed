"""Several at once: processes that share a result, a model store or a cache, threads that call the library."""

import http.server
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zipllm
from tests.codec.engines import TEXT, bpe_engine, compress, decompress
from tests.data.test_registry import A, B, tar
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.model_file.file import build_model, save_model
from zipllm.tokenizer import ByteTokenizer

ROOT = Path(__file__).parents[1]
CONTENT = random.Random(9).randbytes(300_000)


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zipllm", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)


@pytest.mark.parametrize("force", [False, True], ids=["first wins", "last wins"])
def test_processes_writing_the_same_file(tmp_path: Path, force: bool) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    running = [start(tmp_path, "compress", *(["-f"] if force else []), "a") for _ in range(4)]
    messages = [process.communicate(timeout=120)[1].decode() for process in running]
    codes = sorted(process.returncode for process in running)
    assert codes == ([0, 0, 0, 0] if force else [0, 1, 1, 1]), messages
    assert zipllm.decompress((tmp_path / "a.zllm").read_bytes()) == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["a", "a.zllm"]
    assert all("already exists" in message or " : " in message for message in messages)


def test_processes_removing_the_same_source(tmp_path: Path) -> None:
    """Whoever comes too late finds the source gone or the result there; the content is never lost."""
    (tmp_path / "a").write_bytes(CONTENT)
    running = [start(tmp_path, "compress", "--rm", "a") for _ in range(3)]
    for process in running:
        process.communicate(timeout=120)
    assert sorted(process.returncode for process in running) == [0, 1, 1]
    assert os.listdir(tmp_path) == ["a.zllm"]
    assert zipllm.decompress((tmp_path / "a.zllm").read_bytes()) == CONTENT


def test_processes_installing_the_same_model(tmp_path: Path) -> None:
    save_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD), tmp_path / "m.safetensors")
    store = {"XDG_DATA_HOME": str(tmp_path / "data")}
    running = [start(tmp_path, "model", "import", "m.safetensors", **store) for _ in range(3)]
    messages = [process.communicate(timeout=120)[1].decode() for process in running]
    assert {process.returncode for process in running} <= {0, 1}, messages
    assert 0 in {process.returncode for process in running}, messages
    (installed,) = (path for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert installed.read_bytes() == (tmp_path / "m.safetensors").read_bytes()


FETCH = """
import sys, urllib.request
from tests.data.test_registry import CORPUS
from zipllm.data.fetch import fetch_corpus
from zipllm.data.local import Places
print(fetch_corpus(CORPUS, Places.default(), opener=lambda url: urllib.request.urlopen(sys.argv[1], timeout=60)))
"""


class Slow(http.server.SimpleHTTPRequestHandler):
    """Sends a download in two parts, so that all who ask for it are at work at the same time."""

    content = tar({"a": A, "b": B})
    together = threading.Barrier(3)

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content[:100])
        self.together.wait(timeout=60)
        self.wfile.write(self.content[100:])

    def log_message(self, *arguments: object) -> None:
        pass


def test_processes_fetching_the_same_corpus(tmp_path: Path) -> None:
    """All three download at once into one cache; each ends with the right files, and nothing else is left."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/both.tar.gz"
        command = [sys.executable, "-c", FETCH, address]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZIPLLM_CACHE": str(tmp_path)}
        running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
        messages = [process.communicate(timeout=120)[1].decode() for process in running]
        server.shutdown()
    assert [process.returncode for process in running] == [0, 0, 0], messages
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"a": A, "b": B}


def tiny() -> Engine:
    return engine_from_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.mark.parametrize("make", [bpe_engine, tiny], ids=["counts", "transformer"])
def test_threads_share_an_engine(make: Callable[[], Engine]) -> None:
    """Different contents at the same time give what they give alone."""
    engine = make()
    contents = [TEXT[index : index + 150 + 10 * index] for index in range(8)]
    alone = [compress(content, engine, lanes=1 + index % 3) for index, content in enumerate(contents)]

    def work(index: int) -> bool:
        archive = compress(contents[index], engine, lanes=1 + index % 3)
        return archive == alone[index] and decompress(archive, engine) == contents[index]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [*range(8)] * 3))


def test_threads_share_the_default_model() -> None:
    contents = [TEXT[index:200] for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        archives = list(pool.map(zipllm.compress, contents))
        assert list(pool.map(zipllm.decompress, archives)) == contents
    assert archives == [zipllm.compress(content) for content in contents]


def test_threads_by_the_history_alone() -> None:
    """Each block has a memory of its own; what is compiled and the prior are shared."""
    contents = [(TEXT * 5)[index:] for index in range(6)]
    with ThreadPoolExecutor(6) as pool:
        archives = list(pool.map(lambda content: zipllm.compress(content, level=3), contents * 2))
        assert list(pool.map(zipllm.decompress, archives)) == contents * 2
    assert archives == [zipllm.compress(content, level=3) for content in contents] * 2


def test_threads_with_files_of_their_own(tmp_path: Path) -> None:
    def work(index: int) -> bool:
        path, content = tmp_path / f"{index}.zllm", CONTENT[index * 1000 : index * 1000 + 20_000]
        with zipllm.open(path, "w", block_size=4096) as file:
            file.write(content)
        with zipllm.open(path) as file:
            file.seek(5000)
            return file.read() == content[5000:]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(12)))
