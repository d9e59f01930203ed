"""What the full mixer knows of structured text beyond its last bytes: lines, fields, keys, brackets, quotes, tags.

One pass over the bytes as they come, in registers of the lane. Nothing is parsed for good: what looks like a tag and is
none makes a useless context, never a wrong byte. Two earlier places are followed along with the text: the same field of
the line above, and the value that last came after the same key.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.mixing.hashing import HASH, hash_pair
from zipllm.mixing.memory import LAST_WORD, LINE, POSITION, STRUCTURE, Memory

(
    ABOVE_2,  # where the line above the line above begins
    FIELD,  # number of the field in its line, where it begins, the place in the same field above, and how they compare
    FIELD_BEGIN,
    FIELD_ABOVE,
    FIELD_ORDER,
    KEY,  # hash of the word before the last colon or equals sign at this depth, or of the last tag
    VALUE_BEGIN,  # the value since then: where it begins, its hash, the place in the last value of this key, its misses
    VALUE_HASH,
    VALUE_ABOVE,
    VALUE_MISSES,
    DEPTH,  # open brackets
    QUOTED,  # 1 inside double quotes, and a hash of what stands there so far
    QUOTE_HASH,
    MARKUP,  # 0 outside of tags, 1 in the name of one, 2 behind it
    CLOSING,  # 1 in a closing tag
    TAG,  # hash of its name
    TAGS_OPEN,
    SHAPE,  # the last four runs of like characters, and the four before
    SHAPE_2,
    KINDS,  # the kinds of the last eight characters, and of the eight before
    KINDS_2,
    FIRST_WORD,  # hash of the first word of the line
    INDENT,  # spaces at its beginning
    PARITY,  # which half of the starts belongs to this line
) = range(STRUCTURE, STRUCTURE + 24)

_MOST_FIELDS, _MOST_OPEN = 64, 32
_STARTS = PARITY + 1  # where the fields begin, of this line and of the one above
_FIELDS_ABOVE = _STARTS + 2 * _MOST_FIELDS  # how many there are above
_KEYS = _FIELDS_ABOVE + 1  # keys outside of the open brackets, the brackets, and the open tags
_BRACKETS = _KEYS + _MOST_OPEN
_TAGS = _BRACKETS + _MOST_OPEN
USED = _TAGS + _MOST_OPEN - STRUCTURE

_NEWLINE, _QUOTE = ord("\n"), ord('"')
_MOST_MISSES = 8
_WORD = 0xFFFFFFFF


@inlined
def bracket(lane: NDArray[np.int64]) -> Integer:
    """Return the innermost open bracket, 0 if there is none."""
    return lane[_BRACKETS + lane[DEPTH] - 1] if lane[DEPTH] > 0 else np.int64(0)


@inlined
def outer_key(lane: NDArray[np.int64]) -> Integer:
    """Return the key whose value the innermost open bracket is."""
    return lane[_KEYS + lane[DEPTH] - 1] if lane[DEPTH] > 0 else np.int64(0)


@inlined
def open_tag(lane: NDArray[np.int64], outside: Integer) -> Integer:
    """Return the hash of the innermost open tag's name, or of the one outside of that; 0 if there is none."""
    return lane[_TAGS + lane[TAGS_OPEN] - 1 - outside] if lane[TAGS_OPEN] > outside else np.int64(0)


@inlined
def kind(byte: Integer) -> Integer:
    """Return the kind of a byte: digit, small letter, capital, beyond ASCII, space, newline, tab; others 8 to 15."""
    if 48 <= byte <= 57:
        found = 1
    elif 97 <= byte <= 122:
        found = 2
    elif 65 <= byte <= 90:
        found = 3
    elif byte >= 128:
        found = 4
    elif byte == 32:
        found = 5
    elif byte == _NEWLINE:
        found = 6
    elif byte == 9:
        found = 7
    else:
        found = 8 + (byte * 29 >> 4 & 7)
    return np.int64(found)


@part
def follow_structure(memory: Memory, lane: NDArray[np.int64], byte: Integer, last: Integer) -> None:
    """Update the registers by the byte just remembered, and the ``last`` one before it."""
    position, this_kind = lane[POSITION], kind(byte)
    lane[KINDS_2] = (lane[KINDS_2] << 4 | lane[KINDS] >> 28) & _WORD
    lane[KINDS] = (lane[KINDS] << 4 | this_kind) & _WORD
    _follow_shape(lane, byte, this_kind)
    if byte == _NEWLINE:
        _begin_line(lane, position)
    else:
        if byte == 32 and lane[INDENT] == position - lane[LINE] - 1:
            lane[INDENT] += 1
        if _ends_field(byte):
            _begin_field(lane, position)
    _follow_field(memory, lane, byte, position)
    _follow_brackets(memory, lane, byte, position)
    _follow_tags(memory, lane, byte, last, position)
    _follow_value(memory, lane, byte, position)


@inlined
def _follow_shape(lane: NDArray[np.int64], byte: Integer, this_kind: Integer) -> None:
    """Letters of a case, digits, and bytes beyond ASCII of the same 16 are alike; a run of them counts once."""
    shape, repeats = byte, this_kind <= 4
    if this_kind == 1:
        shape = np.int64(48)
    elif this_kind == 2:
        shape = np.int64(97)
    elif this_kind == 3:
        shape = np.int64(65)
    elif this_kind == 4:
        shape = 128 | byte >> 4
    if not (repeats and shape == lane[SHAPE] & 0xFF):
        lane[SHAPE_2] = (lane[SHAPE_2] << 8 | lane[SHAPE] >> 24) & _WORD
        lane[SHAPE] = (lane[SHAPE] << 8 | shape) & _WORD


@inlined
def _begin_line(lane: NDArray[np.int64], position: Integer) -> None:
    parity = 1 - lane[PARITY]
    lane[_FIELDS_ABOVE] = min(lane[FIELD] + 1, np.int64(_MOST_FIELDS))
    lane[PARITY] = parity
    lane[_STARTS + parity * _MOST_FIELDS] = position
    lane[FIELD] = 0
    lane[FIELD_BEGIN] = position
    lane[FIELD_ABOVE] = lane[_STARTS + (1 - parity) * _MOST_FIELDS]
    lane[FIRST_WORD] = 0
    lane[INDENT] = 0


@inlined
def _ends_field(byte: Integer) -> bool:
    """Whether this is one of tab, space, comma, colon, semicolon, equals sign, bar."""
    return byte in (9, 32, 44, 58, 59, 61, 124)


@inlined
def _begin_field(lane: NDArray[np.int64], position: Integer) -> None:
    field = lane[FIELD] + 1
    lane[FIELD] = field
    lane[FIELD_BEGIN] = position
    if field < _MOST_FIELDS:
        lane[_STARTS + lane[PARITY] * _MOST_FIELDS + field] = position
    above = np.int64(0)
    if field < lane[_FIELDS_ABOVE]:
        above = lane[_STARTS + (1 - lane[PARITY]) * _MOST_FIELDS + field]
    lane[FIELD_ABOVE] = above


@inlined
def _follow_field(memory: Memory, lane: NDArray[np.int64], byte: Integer, position: Integer) -> None:
    """The place in the field above moves on up to its end; the first byte that differs says which field is greater."""
    if position == lane[FIELD_BEGIN]:
        lane[FIELD_ORDER] = 0
    elif lane[FIELD_ABOVE] > 0:
        above = np.int64(memory.seen[lane[FIELD_ABOVE]])
        if lane[FIELD_ORDER] == 0 and above != byte:
            lane[FIELD_ORDER] = 1 if byte > above else 2
        if not (_ends_field(above) or above == _NEWLINE):
            lane[FIELD_ABOVE] += 1


@inlined
def _follow_brackets(memory: Memory, lane: NDArray[np.int64], byte: Integer, position: Integer) -> None:
    lane[QUOTE_HASH] = hash_pair(lane[QUOTE_HASH] + 1, byte) if lane[QUOTED] else np.int64(0)
    if byte == _QUOTE:
        lane[QUOTED] = 1 - lane[QUOTED]
        lane[QUOTE_HASH] = 0
    elif byte in (40, 91, 123):
        if lane[DEPTH] < _MOST_OPEN:
            lane[_KEYS + lane[DEPTH]] = lane[KEY]
            lane[_BRACKETS + lane[DEPTH]] = byte
            lane[DEPTH] += 1
        lane[KEY] = 0
        lane[QUOTED] = 0
    elif byte in (41, 93, 125):
        if lane[DEPTH] > 0:
            lane[DEPTH] -= 1
            lane[KEY] = lane[_KEYS + lane[DEPTH]]
        lane[QUOTED] = 0
    elif byte in (58, 61) and lane[QUOTED] == 0:
        _begin_value(memory, lane, lane[LAST_WORD], outer_key(lane), position)


@inlined
def _follow_tags(memory: Memory, lane: NDArray[np.int64], byte: Integer, last: Integer, position: Integer) -> None:
    """A tag's name goes up to a space; ``/>``, ``?>`` and ``->`` end a tag that holds nothing."""
    if byte == 60:
        lane[MARKUP] = 1
        lane[TAG] = 0
        lane[CLOSING] = 0
    elif lane[MARKUP] > 0:
        if byte == 62:
            if lane[CLOSING]:
                lane[TAGS_OPEN] = max(lane[TAGS_OPEN] - 1, np.int64(0))
            elif last not in (45, 47, 63) and lane[TAGS_OPEN] < _MOST_OPEN:
                lane[_TAGS + lane[TAGS_OPEN]] = lane[TAG]
                lane[TAGS_OPEN] += 1
            lane[MARKUP] = 0
            _begin_value(memory, lane, lane[TAG], np.int64(77), position)
        elif lane[MARKUP] == 1:
            if byte == 47 and lane[TAG] == 0:
                lane[CLOSING] = 1
            elif byte in (10, 32):
                lane[MARKUP] = 2
            else:
                lane[TAG] = hash_pair(lane[TAG] + 1, byte)


@part
def _begin_value(memory: Memory, lane: NDArray[np.int64], key: Integer, outside: Integer, position: Integer) -> None:
    """Look up where the last value of the same key began; in the last lane that may be the block's end."""
    place = (hash_pair(key, outside) * HASH >> 16) & (memory.keys.size - 1)
    lane[KEY] = key
    lane[VALUE_BEGIN] = position
    above = np.int64(memory.keys[place])
    lane[VALUE_ABOVE] = above if above < memory.seen.size else np.int64(0)
    lane[VALUE_MISSES] = 0
    memory.keys[place] = position


@inlined
def _follow_value(memory: Memory, lane: NDArray[np.int64], byte: Integer, position: Integer) -> None:
    """The place in the last value moves along, as long as few bytes differ."""
    above = lane[VALUE_ABOVE]
    lane[VALUE_HASH] = hash_pair(lane[VALUE_HASH] + 1, byte) if position > lane[VALUE_BEGIN] else np.int64(0)
    if above > 0 and position > lane[VALUE_BEGIN]:
        lane[VALUE_MISSES] += 1 if memory.seen[above] != byte else 0
        above += 1
        lane[VALUE_ABOVE] = above if lane[VALUE_MISSES] <= _MOST_MISSES and above < memory.seen.size else np.int64(0)
