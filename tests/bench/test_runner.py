"""From a file to a row: every codec gives the file back, and every fault gives a marked row without numbers."""

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.bench.rows import DATA, bench_input, programs
from zipllm.bench import libraries
from zipllm.bench.codecs import open_codec, parse_codecs
from zipllm.bench.external import read_programs
from zipllm.bench.process import Worker, WorkerFailed, measurement
from zipllm.bench.protocol import Facts, parse_spec
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.errors import MissingPackage


def measure(folder: Path, codec: str, data: bytes = DATA, **options: Any) -> Any:
    """The row of one codec; Any because each test knows which measurements it has."""
    (row,) = run_benchmark([bench_input(folder, data)], parse_codecs(codec, None), RunOptions(**options))
    return row


@pytest.mark.parametrize("codec", [*libraries.KINDS, "zstd:3/long", "xz:0", "lz4:0"])
def test_every_conventional_codec_comes_back(tmp_path: Path, codec: str) -> None:
    row = measure(tmp_path, codec)
    assert (row.status, row.message, row.verified) == ("ok", "", True)
    assert row.bits_per_byte == 8 * row.compressed_bytes / len(DATA)
    assert codec == "copy" or row.compressed_bytes < len(DATA) / 5
    built_in = codec == "gzip" and "zlib" in sys.builtin_module_names  # Debian's Python has no file of it
    assert row.program_bytes > 0 or codec == "copy" or built_in
    assert row.compress.peak_rss > 1 << 20


@pytest.mark.parametrize("codec", ["gzip", "ppmd", "zstd", "brotli"])
@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "one byte"])
def test_tiny_files(tmp_path: Path, codec: str, data: bytes) -> None:
    row = measure(tmp_path, codec, data)
    assert row.verified
    assert (row.bits_per_byte is None) == (data == b"")


@pytest.mark.parametrize("codec", ["order0", "order2", "ngram", "lstm"])
def test_every_predictor_comes_back(tmp_path: Path, codec: str) -> None:
    row = measure(tmp_path, codec, DATA[:300])
    assert (row.status, row.message) == ("ok", "")
    assert row.weights_bytes == 0


def test_predictors_code_without_the_history(tmp_path: Path) -> None:
    """Counts of single bytes ignore their order, so two alternating bytes cost one bit each."""
    assert measure(tmp_path, "order0", b"ab" * 2000).bits_per_byte > 0.95


def test_repeats(tmp_path: Path) -> None:
    row = measure(tmp_path, "gzip", repeat=5)
    assert row.compress.repeats == row.decompress.repeats == 5
    assert 0 < row.compress.min_s <= row.compress.median_s == row.compress_s
    assert row.compress.startup_s > row.compress.min_s


def test_median_and_its_processor_time() -> None:
    answer = {"seconds": [3.0, 1.0, 2.0], "cpu": [30.0, 10.0, 20.0], "peak_rss": 7, "peak_vram": 0}
    found = measurement(answer, 0.5)
    assert (found.median_s, found.min_s, found.cpu_s, found.repeats) == (2.0, 1.0, 20.0, 3)


def test_memory_is_the_codecs_own(tmp_path: Path) -> None:
    """The memory of this process, made large here, does not count; the dictionary of xz does."""
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = measure(tmp_path, "gzip").peak_rss
    assert small < 64 << 20
    assert measure(tmp_path, "xz:9e").peak_rss > small + (16 << 20)


@pytest.mark.parametrize(
    ("codec", "status", "message"),
    [
        ("liar", "mismatch", "decoded to other bytes, the first at 0"),
        ("shortener", "mismatch", f"decoded to {len(DATA) - 1} bytes instead of {len(DATA)}"),
        ("fraud", "mismatch", "decoded to 0 bytes"),
        ("failing", "error", "no such luck"),
        ("silent", "error", "wrote no output"),
        ("hanging", "timeout", "no result after 2 s"),
        ("missing", "missing", "'no-such-program-anywhere' is not installed"),
    ],
)
def test_faults_give_a_marked_row_and_no_number(tmp_path: Path, codec: str, status: str, message: str) -> None:
    external = read_programs(programs(tmp_path))
    specs = parse_codecs(f"{codec},honest", None, tuple(external))
    bad, good = run_benchmark([bench_input(tmp_path)], specs, RunOptions(programs=external))
    assert bad.status == status
    assert message in bad.message
    assert not bad.verified
    measured = (bad.compressed_bytes, bad.bits_per_byte, bad.ratio, bad.adjusted_bytes, bad.compress_s, bad.compress)
    assert set(measured) == {None}
    assert good.verified, "the others go on"
    assert good.compressed_bytes == len(DATA)


def test_a_codec_that_kills_its_process(tmp_path: Path) -> None:
    script = tmp_path / "kill.py"
    script.write_text("import os; os.kill(os.getppid(), 9)")
    entry = {"compress": f"{sys.executable} {script} {{in}}", "decompress": "cat {in}"}
    specs = parse_codecs("killer", None, ("killer",))
    (row,) = run_benchmark([bench_input(tmp_path)], specs, RunOptions(programs={"killer": entry}))
    assert (row.status, row.message) == ("crash", "ended by SIGKILL")


def test_a_reused_worker_survives_a_bad_file(tmp_path: Path) -> None:
    """After an error, the next file gets a new process."""
    worker = Worker(parse_spec("gzip:9"), {}, timeout=60)
    try:
        with pytest.raises(WorkerFailed, match="No such file"):
            worker.code("compress", tmp_path / "nothing", tmp_path / "target")
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(DATA)
        assert worker.code("compress", source, target).measurement.repeats == 1
        assert target.stat().st_size < len(DATA)
    finally:
        worker.close()


def test_a_hanging_program_does_not_outlive_its_worker(tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text(f"import os,time; open({str(tmp_path / 'pid')!r},'w').write(str(os.getpid())); time.sleep(600)")
    entry = {"compress": f"{sys.executable} {script} {{in}}", "decompress": "cat {in}", "timeout": 5}
    specs = parse_codecs("sleeper", None, ("sleeper",))
    (row,) = run_benchmark([bench_input(tmp_path)], specs, RunOptions(programs={"sleeper": entry}))
    assert row.status == "timeout"
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 20
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    with pytest.raises(MissingPackage, match=r"needs pyppmd.*pip install 'zipllm\[bench\]'"):
        open_codec(parse_spec("ppmd"))


def test_along_grows_to_the_whole(tmp_path: Path) -> None:
    row = measure(tmp_path, "bzip2", along=True)
    assert len(row.along) == 8
    assert row.along[-1] == (len(DATA), row.compressed_bytes)
    assert [raw for raw, _ in row.along] == [len(DATA) * piece // 8 for piece in range(1, 9)]


def test_sizes_are_those_of_the_command_line_tools(tmp_path: Path) -> None:
    """Sizes equal those of gzip, bzip2, xz and zstd, give or take a header."""
    import shutil

    item = bench_input(tmp_path, DATA)
    for codec, command in {
        "gzip:9": ["gzip", "-9nc"],
        "bzip2:9": ["bzip2", "-9c"],
        "xz:9e": ["xz", "-9ec", "--check=crc64"],
        "zstd:19": ["zstd", "-19", "-c", "-q"],
    }.items():
        if shutil.which(command[0]) is None:
            continue
        made = subprocess.run([*command, str(item.path)], stdout=subprocess.PIPE, check=True).stdout
        (row,) = run_benchmark([item], parse_codecs(codec, None), RunOptions())
        assert row.compressed_bytes is not None
        assert abs(row.compressed_bytes - len(made)) <= 16, codec


def test_trained_dictionary_counts_as_weights(tmp_path: Path) -> None:
    training = tmp_path / "training"
    lines = (f"{i * 7919 % 10007}: to be or not to be, that is question {i}\n".encode() for i in range(4000))
    training.write_bytes(b"".join(lines))
    plain = measure(tmp_path, "zstd:19", DATA[:200])
    learned = measure(tmp_path, f"zstd:19/dict={training}", DATA[:200])
    assert learned.verified, learned.message
    assert learned.compressed_bytes < plain.compressed_bytes
    assert learned.adjusted_bytes == learned.compressed_bytes + learned.weights_bytes > 1000
    assert learned.level == "19/dict", "no path of this machine"


def test_learning_from_the_file_itself_is_marked(tmp_path: Path) -> None:
    data = b"".join(f"{i * 7919 % 10007}: to be or not to be {i}\n".encode() for i in range(4000))
    item = bench_input(tmp_path, data)
    (row,) = run_benchmark([item], parse_codecs(f"zstd:19/dict={item.path}", None), RunOptions())
    assert row.verified
    assert "SHA-256" in row.contaminated


def test_facts_cross_a_pipe() -> None:
    facts = Facts("19", 5, 7, learned_from=("00" * 32,), learned_names=("books", "code"))
    assert Facts.from_json(json.loads(json.dumps(asdict(facts)))) == facts
