from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.errors import ModelInvalid
from zipllm.model_file.canonical_json import dump_json, load_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\[{é', max_size=3), inner, max_size=4),
    max_leaves=10,
)


def load(data: bytes, max_bytes: int = 10_000, max_depth: int = 20) -> object:
    return load_json(data, what="part", max_bytes=max_bytes, max_depth=max_depth)


@given(JSON)
def test_canonical_json_reads_back_as_itself(value: dict[str, Any] | list[Any] | None) -> None:
    spelled = dump_json(value)
    assert load(spelled, max_bytes=10**6) == value
    assert dump_json(load(spelled, max_bytes=10**6)) == spelled


def test_key_order_and_spaces_do_not_survive() -> None:
    assert dump_json(load(b'{ "b": 1, "a": [1, 2.0] }')) == b'{"a":[1,2.0],"b":1}'


def test_output_is_ascii() -> None:
    assert dump_json("é\u4e2d") == b'"\\u00e9\\u4e2d"'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "repeated"),
        (b'[{"a":1,"a":2}]', "repeated"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "too large"),
        (b"9" * 5000, "20 digits"),
        (b'{"a":"\\ud800"}', "surrogates"),
        (b'{"\\udfff":1}', "surrogates"),
        (b'{"a":["\\ud800"]}', "surrogates"),
        ('"é"'.encode(), "ASCII"),
        (b'\xef\xbb\xbf{"a":1}', "ASCII"),
        (b"{", "valid JSON"),
        (b"{}{}", "valid JSON"),
        (b"", "valid JSON"),
        (b"'a'", "valid JSON"),
        (b"[1,]", "valid JSON"),
        (b'"\n"', "valid JSON"),
    ],
)
def test_unusual_json_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ModelInvalid, match=f"^part .*{reason}"):
        load(data)


def test_size_limit_is_inclusive() -> None:
    assert load(b"[1]", max_bytes=3) == [1]
    with pytest.raises(ModelInvalid, match="4 bytes long, more than the 3"):
        load(b"[12]", max_bytes=3)


def test_depth_limit_is_inclusive_and_ignores_strings() -> None:
    assert load(b'[["[[[\\"[[[["]]', max_depth=2) == [['[[["[[[[']]
    with pytest.raises(ModelInvalid, match="deeper than 2"):
        load(b"[[[]]]", max_depth=2)


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 200_000, b'"\\"' * 300_000, b'["' * 500_000])
def test_a_megabyte_of_brackets_or_quotes_is_refused_without_recursion(data: bytes) -> None:
    with pytest.raises(ModelInvalid):
        load(data, max_bytes=1 << 20)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_writing_refuses_what_is_not_a_number(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json(value)
