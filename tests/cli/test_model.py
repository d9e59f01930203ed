"""``zipllm model``: list, show, verify, import, remove; what other messages say about them holds."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import Outcome
from tests.cli.test_hostile_models import GOOD, HOSTILE, MODEL
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.engine.engine import kept
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, build_model, save_model
from zipllm.model_file.store import ModelStore
from zipllm.tokenizer import ByteTokenizer

Inside = Callable[..., Outcome]
ID = MODEL.model_id.hex()


@pytest.fixture(autouse=True)
def fresh(folder: Path) -> None:
    """A model file ``m.safetensors``; nothing loaded before is kept."""
    (folder / "m.safetensors").write_bytes(GOOD)
    kept.clear()


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The user's store, not made yet."""
    return tmp_path / "data" / "zipllm" / "models"


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path."""
    folder = tmp_path / "search"
    folder.mkdir()
    monkeypatch.setenv("ZIPLLM_MODEL_PATH", str(folder))
    return folder


def other_model(card: Card = CARD) -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_integer_model(seed=1), card)


def damaged(data: bytes = GOOD) -> bytes:
    return data[:-300] + bytes([data[-300] ^ 1]) + data[-299:]


def wrong_self_test() -> bytes:
    """A model of the right id whose file records other frequencies than it computes."""
    at = GOOD.index(MODEL.self_test.sha256.hex().encode())
    return GOOD[:at] + b"00" + GOOD[at + 2 :]


def records(done: Outcome) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


# --------------------------------------------------------------------------- list
def test_list(inside: Inside, search: Path, user: Path) -> None:
    (search / "m.safetensors").write_bytes(GOOD)
    (search / "broken\x1b.safetensors").write_bytes(GOOD[:50])
    assert inside("model", "import", "-q", "m.safetensors", "--name", "mine").code == 0
    assert inside("model", "import", "-qq", "m.safetensors", "--name", "m").code == 0
    done = inside("model", "list")
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.decode().splitlines()]
    assert lines[0] == ["Name", "Id", "Size", "Parameters", "Origin", "Licence"]
    assert [line[0] for line in lines[1:4]] == ["base", "nano", "small"]
    parameters = f"{sum(CONFIG.parameter_counts()):,}"
    size = f"{len(GOOD) / 1024:.3g}"
    assert lines[4:7] == [
        ["m", ID[:16], size, "KiB", parameters, "path", "Apache-2.0"],
        ["m", ID[:16], size, "KiB", parameters, "user,", "shadowed", "Apache-2.0"],
        ["mine", ID[:16], size, "KiB", parameters, "user", "Apache-2.0"],
    ]
    assert lines[7][0] == "unusable:"
    assert b"\x1b" not in done.out
    assert b"truncated" in done.out


def test_list_as_json(inside: Inside, search: Path, user: Path) -> None:
    for name in ("small", "m"):
        (search / f"{name}.safetensors").write_bytes(GOOD)
    (search / "x.safetensors").write_bytes(b"no model")
    base, nano, small, m, second, x = records(inside("model", "list", "--json"))
    assert (base["name"], base["origin"], base["default"]) == ("base", "shipped", False)
    assert (nano["name"], nano["origin"], nano["default"]) == ("nano", "shipped", False)
    assert (small["name"], small["origin"], small["default"], small["shadowed"]) == ("small", "shipped", True, False)
    assert (second["name"], second["origin"], second["default"], second["shadowed"]) == ("small", "path", False, True)
    assert m == {
        "command": "model",
        "name": "m",
        "ok": True,
        "model_id": ID,
        "origin": "path",
        "path": str(search / "m.safetensors"),
        "bytes": len(GOOD),
        "parameters": sum(CONFIG.parameter_counts()),
        "parameters_in_layers": CONFIG.parameter_counts()[0],
        "default": False,
        "shadowed": False,
        "config": CONFIG.to_dict(),
        "licence": "Apache-2.0",
    }
    assert (x["ok"], x["path"]) == (False, str(search / "x.safetensors"))
    assert "too few" in str(x["error"])


def test_a_damaged_file_is_in_the_way_of_one_of_its_name(inside: Inside, search: Path) -> None:
    assert inside("model", "import", "-q", "m.safetensors", "--name", "m").code == 0
    (search / "m.safetensors").write_bytes(b"junk")
    found = [record for record in records(inside("model", "list", "--json")) if record["ok"]]
    names = [(record["name"], record["shadowed"]) for record in found]
    assert names == [("base", False), ("nano", False), ("small", False), ("m", True)]


# --------------------------------------------------------------------------- show
@pytest.mark.parametrize("query", ["mine", ID, ID[:8].upper(), "./m.safetensors", "m.safetensors"])
def test_show(inside: Inside, query: str) -> None:
    assert inside("model", "import", "-q", "m.safetensors", "--name", "mine").code == 0
    done = inside("model", "show", query)
    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:3] == ["# tiny", "", "Random weights for tests."]
    for expected in (
        f"model id {ID}",
        "shape 2 layers, width 16, 2 heads, feed-forward 32",
        "context 8 tokens in every layer, relative positions",
        "vocabulary 256 tokens",
        "licence Apache-2.0",
        "noise 100 8.0000 8.0100 +0.12%",
        "none 0 CC0-1.0 made from a seed",
        "recipe not recorded",
        "* It knows nothing.",
    ):
        assert expected in lines
    assert f"({len(GOOD):,} bytes, {'user' if query in ('mine', ID, ID[:8].upper()) else 'file'})" in text
    (record,) = records(inside("model", "show", query, "--json"))
    assert record["card"] == CARD.to_dict()
    assert record["model_id"] == ID


def test_show_a_card_without_facts(inside: Inside, folder: Path) -> None:
    save_model(replace(MODEL, card=Card("bare")), folder / "bare.safetensors")
    text = inside("model", "show", "bare.safetensors").out.decode()
    assert "Not measured." in text
    assert "Not recorded." in text
    assert "## Limits" not in text


def test_show_reads_the_header_alone(inside: Inside, folder: Path) -> None:
    (folder / "m.safetensors").write_bytes(damaged())
    assert inside("model", "show", "m.safetensors").code == 0


@pytest.mark.parametrize("command", ["show", "verify", "import"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./gone.safetensors", "there is no model file"),
        ("./loop.safetensors", "a loop of symbolic links"),
        ("./folder.safetensors", "not a regular file"),
        ("./short.safetensors", "truncated"),
    ],
)
def test_missing_and_invalid_files(
    inside: Inside, folder: Path, user: Path, command: str, name: str, message: str
) -> None:
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    (folder / "folder.safetensors").mkdir()
    (folder / "short.safetensors").write_bytes(GOOD[:-1])
    code, error = inside("model", command, name).error
    assert (code, error.count("\n")) == (4, 1)
    assert message in error
    assert not user.exists()


def test_a_loop_is_found_by_its_name_too(inside: Inside, search: Path) -> None:
    (search / "loop.safetensors").symlink_to("loop.safetensors")
    assert inside("model", "show", "loop").code == 4
    assert b"loop of symbolic links" in inside("model", "list").out


# --------------------------------------------------------------------------- verify
def test_verify_all(inside: Inside, search: Path) -> None:
    (search / "m.safetensors").write_bytes(GOOD)
    done = inside("model", "verify")
    assert (done.code, done.err) == (0, "")
    base, nano, small, m = done.out.decode().splitlines()
    assert base.startswith("base: right (self-test on reference and ")
    assert nano.startswith("nano: right (self-test on reference and ")
    assert small.startswith("small: right (self-test on reference and ")
    assert m.startswith("m: right (self-test on reference and ")
    assert str(search / "m.safetensors") in m
    assert inside("model", "verify", "m", "-q").out == b""


def test_verify_goes_on_behind_a_damaged_one(inside: Inside, search: Path) -> None:
    (search / "a.safetensors").write_bytes(damaged())
    (search / "b.safetensors").write_bytes(b"junk")
    (search / "m.safetensors").write_bytes(GOOD)
    done = inside("model", "verify", "a", "b", "c", "m")
    assert done.code == 4
    assert [line.split(":")[0] for line in done.out.decode().splitlines()] == ["m"]
    first, second, third = done.err.splitlines()
    assert f"{str(search / 'a.safetensors')!r}: damaged: its content has the id" in first
    assert "too few" in second
    assert "no model called 'c'" in third
    assert inside("model", "verify", "-qq", "a").error == (4, "")
    done = inside("model", "verify")
    assert (done.code, len(done.err.splitlines()), len(done.out.splitlines())) == (4, 2, 4)


@pytest.mark.parametrize("kind", HOSTILE)
def test_verify_and_import_refuse_hostile_files(inside: Inside, folder: Path, user: Path, kind: str) -> None:
    data, reason = HOSTILE[kind]
    (folder / "h.safetensors").write_bytes(data)
    for command in ("verify", "import"):
        code, error = inside("model", command, "./h.safetensors").error
        assert (code, error.count("\n")) == (4, 1)
        assert reason in error
    assert not user.exists()
    assert not (folder / "it-ran").exists()


def test_a_self_test_that_fails(inside: Inside, folder: Path, user: Path) -> None:
    """Also after a whole file of the same model has passed."""
    (folder / "w.safetensors").write_bytes(wrong_self_test())
    done = inside("model", "verify", "m.safetensors", "w.safetensors")
    assert (done.code, done.out.count(b"\n")) == (4, 1)
    assert "model file 'w.safetensors': model" in done.err
    assert "failed its self-test on engine 'reference'" in done.err
    assert inside("model", "import", "w.safetensors").code == 4
    assert not user.exists()


# --------------------------------------------------------------------------- import and remove
def test_what_an_archive_asks_for_can_be_imported(inside: Inside, folder: Path, user: Path) -> None:
    """As the message about a missing model says."""
    text = b"to be or not to be\n"
    (folder / "t").write_bytes(text)
    save_model(MODEL, folder / "elsewhere")
    from zipllm.codec.encoder import compress_stream
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import engine_from_model

    with (folder / "t").open("rb") as source, (folder / "t.zllm").open("wb") as sink:
        compress_stream(source, sink, engine=engine_from_model(MODEL), options=EncodeOptions(fallback=False))
    (folder / "t").unlink()
    code, error = inside("decompress", "t.zllm").error
    assert code == 4
    assert "install it with 'zipllm model import FILE'" in error
    done = inside("model", "import", "elsewhere")
    assert done.error == (0, f"elsewhere: imported as tiny (id {ID[:16]}, {user / 'tiny.safetensors'})\n")
    assert inside("decompress", "-q", "t.zllm").code == 0
    assert (folder / "t").read_bytes() == text
    (folder / "t").unlink()
    done = inside("model", "remove", "tiny")
    assert done.error == (0, f"tiny: removed ({user / 'tiny.safetensors'})\n")
    assert inside("decompress", "t.zllm").code == 4
    assert os.listdir(user) == []


def test_import_replaces_only_by_force(inside: Inside, folder: Path) -> None:
    save_model(other_model(replace(CARD, name="m")), folder / "other")
    assert inside("model", "import", "-q", "m.safetensors", "--name", "m").code == 0
    code, error = inside("model", "import", "other").error
    assert code == 1
    assert "already installed (--force replaces it)" in error
    assert inside("model", "show", "m", "--json").out.decode().count(ID) == 1
    assert inside("model", "import", "other", "--force", "-q").code == 0
    assert ModelStore.default().find("m").model_id == other_model().model_id


def test_names_of_imported_models(inside: Inside, folder: Path, user: Path) -> None:
    for name, code, message in (
        ("small", 2, "name of a shipped model; install it under another name (--name)"),
        ("../x", 2, "model name '../x' is not"),
        ("UP", 2, "model name 'UP' is not"),
    ):
        done = inside("model", "import", "m.safetensors", "--name", name)
        assert (done.code, message in done.err) == (code, True)
    assert not user.exists()


def test_import_warns_when_the_name_means_another_file(inside: Inside, search: Path) -> None:
    (search / "m.safetensors").write_bytes(GOOD)
    done = inside("model", "import", "m.safetensors", "--name", "m")
    assert done.code == 0
    assert f"warning: the name m means {search / 'm.safetensors'}, which is found first" in done.err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("gone", 4, "no model called 'gone' in the user's store"),
        ("small", 4, "; 'small' is shipped with zipllm and is not removed"),
        ("../m", 2, "model name '../m' is not"),
    ],
)
def test_remove_touches_the_users_store_alone(inside: Inside, name: str, code: int, message: str) -> None:
    done = inside("model", "remove", name)
    assert (done.code, message in done.err, done.err.count("\n")) == (code, True, 1)
    assert ModelStore.default().find("small").origin == "shipped"


@pytest.mark.parametrize("arguments", [("show",), ("import",), ("remove",), ("verify", "--json"), ("frobnicate",)])
def test_wrong_use(inside: Inside, arguments: tuple[str, ...]) -> None:
    done = inside("model", *arguments)
    assert done.code == 2
    assert "Traceback" not in done.err
