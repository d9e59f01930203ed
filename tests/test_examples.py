"""Every example runs and says what it promises."""

import json
import lzma
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import zipllm
from zipllm.data.registry import samples_folder

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

_TOY = (
    (r"--lines 30000", "--lines 150"),
    (r"--lines 2000", "--lines 20"),
    (r"--minutes 10", "--steps 2"),
    (r"--preset tiny", "--preset nano --vocabulary 300 --compile off"),
)
"""Pattern and replacement: the commands of the page at a size that takes seconds."""
QUICKSTARTS = [
    ("quickstart.md", "zen.html", ["bits per byte", "market"]),
    ("quickstart.zh-CN.md", "论语.html", ["每字节", "财经", "不亦说乎"]),
]
"""Page, the HTML page that its commands write, and words of what they say."""
RANDOM_BITS = (EXAMPLES / "decompress_random_bits.md").read_text(encoding="utf-8")


def test_quickstart() -> None:
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert "zipllm" in done.stdout.splitlines()[0]
    assert done.stdout.count(" bits  ") == 10
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("page", "html", "says"), QUICKSTARTS)
def test_quickstart_pages(page: str, html: str, says: list[str], tmp_path: Path) -> None:
    """Every command and the program run as they stand, one after the other, in one folder."""
    text = (EXAMPLES / page).read_text(encoding="utf-8")
    environment = _environment(tmp_path / "bin") | {"COLUMNS": "120"}
    script = "\n".join(re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = [line.removeprefix("$ ") for line in script.splitlines() if line != "identical"]
    assert lines.pop(0).startswith("pip install ")
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-e", "-x", "-o", "pipefail", "-c", "\n".join([*lines, "python program.py"])],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout.splitlines()
    assert re.search(r"class zipllm:3 +1\.0000 ", done.stdout)
    for word in says:
        assert word in done.stdout
    assert "<html" in (tmp_path / html).read_text(encoding="utf-8")


def test_the_chinese_page_says_what_the_english_one_says() -> None:
    """Its figures are all in README.md, and the links of both pages lead somewhere."""
    chinese, english = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.zh-CN.md", "README.md"))
    figures = set(re.findall(r"\d[\d,.]*\d", chinese))
    assert len(figures) > 30
    assert not [figure for figure in figures if figure not in english]
    for folder, page in ((ROOT, chinese), *((EXAMPLES, (EXAMPLES / name).read_text()) for name, _, _ in QUICKSTARTS)):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", page)
        assert links
        assert not [link for link in links if not (folder / link).exists()]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_your_own(tmp_path: Path) -> None:
    commands = [line[2:] for line in (EXAMPLES / "train_your_own.md").read_text().splitlines() if line[:2] == "$ "]
    assert len(commands) == 9
    script = "\n".join(commands)
    for pattern, toy in _TOY:
        script, count = re.subn(pattern, toy, script)
        assert count, f"{pattern} is no longer on the page"
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    done = subprocess.run(
        ["bash", "-e", "-x", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=_environment(tmp_path / "bin"),
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout.splitlines()
    rows = [json.loads(line) for line in (tmp_path / "shop.jsonl").read_text().splitlines()]
    assert {"zstd:19", "zstd:19/dict=dictionary", "xz:9e", "zipllm:small", "zipllm:shop.safetensors"} <= {
        row["codec"] for row in rows
    }
    assert all(row["verified"] and not row["contaminated"] and row["file"] == "wednesday.log" for row in rows)
    made = json.loads((tmp_path / "shop.train.json").read_text())
    assert made["steps"] == 2
    assert made["model_bytes"] == (tmp_path / "shop.safetensors").stat().st_size


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_hugging_face(tmp_path: Path) -> None:
    """All commands and the program of the page, with a model that is trained less, so that it loses."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'zipllm[hf]'")
    text = (EXAMPLES / "hugging_face.md").read_text(encoding="utf-8")
    commands = [line[2:] for line in text.splitlines() if line[:2] == "$ "]
    assert commands.pop(0) == "pip install 'zipllm[hf]'"
    assert len(commands) == 12
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    program, count = re.subn(r"range\(200\)", "range(5)", program)
    assert count == 1
    (tmp_path / "make_models.py").write_text(program, encoding="utf-8")
    commands[-1] += " > again"  # where the model wins, refused
    script = "\n".join(commands).replace("4K", "1K").replace("-T 2", "-T 3")
    done = subprocess.run(
        ["bash", "-e", "-x", "-o", "pipefail", "-c", script],
        cwd=tmp_path, env=_environment(tmp_path / "bin"), capture_output=True, timeout=580, check=False,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, done.stderr.decode()
    assert "identical" in said.splitlines()
    assert "no number here is a code length" in " ".join(said.split())
    assert said.count("Context: as in an archive.") == 2
    assert "hf:trained" in (tmp_path / "bits.html").read_text(encoding="utf-8")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "samples.txt").read_bytes()
    of_page, found = (_numbers(re.search(r"^ *samples.txt .*", where, re.M)) for where in (text, said))  # of hf:random
    assert found == pytest.approx(of_page, rel=0.01)


def test_hugging_face_sizes() -> None:
    """What other codecs make of the samples is what the page says."""
    text = (EXAMPLES / "hugging_face.md").read_text(encoding="utf-8")
    samples = b"".join((samples_folder() / name).read_bytes() for name in re.findall(r"\$samples/(\S+)", text))
    history, xz = len(zipllm.compress(samples, level=3)), len(lzma.compress(samples, preset=9 | lzma.PRESET_EXTREME))
    assert f"(The history alone takes {history:,} bytes, xz -9e {xz:,}." in text
    assert f" ({len(samples)} => " in text


def _numbers(line: re.Match[str] | None) -> list[float]:
    assert line is not None
    return [float(number.replace(",", "")) for number in line[0].split()[1:7]]


def _environment(folder: Path) -> dict[str, str]:
    """``python`` and ``zipllm`` are the ones under test, wherever they are installed."""
    folder.mkdir()
    for name, words in {"python": "", "zipllm": " -m zipllm"}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (folder / name).chmod(0o755)
    paths = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return os.environ | paths | {"OMP_NUM_THREADS": "1"}


def block(language: str) -> str:
    """The one block of code of this language on the page."""
    (found,) = re.finditer(rf"^```{language}\n(.*?)^```", RANDOM_BITS, re.DOTALL | re.MULTILINE)
    return str(found[1])


def test_the_program_about_random_bits_prints_what_the_page_says() -> None:
    command = [sys.executable, "-c", block("python")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert done.stdout == block("text")


def test_the_command_about_random_bits_writes_what_the_page_says() -> None:
    line, _, said = block("console").partition("\n")
    _, *arguments = shlex.split(line.removeprefix("$ "))
    command = [sys.executable, "-m", "zipllm", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert done.stdout.decode() + "\n" == said
