"""A state file without its first pages, and whole again: all that a store needs, without a model (`wasm/STATE_FORMAT.md`)."""

from collections.abc import Iterator
from dataclasses import dataclass

from spikingbrain.state.header import FIXED, GROUP, LARGEST_POSITION, MAGIC, VERSION
from spikingbrain.state.rows import StateError

PAGE_TOKENS = 32
MOST_GROUPS = 4_096
# Position, type of the recurrent part, bytes of the head: where two files' rows may be the same bytes though these differ.
_OF_ONE_STATE = ((104, 112), (121, 122), (124, 132))


@dataclass(frozen=True)
class Extent:
    """Bytes `[start, stop)` of a file: rows of a group's tokens from `token` on, or header and head, whose token is None."""

    start: int
    stop: int
    group: int = 0
    token: int | None = None


@dataclass(frozen=True)
class Frame:
    """What a header says of its file."""

    header: bytes
    position: int
    kept: int
    head_bytes: int
    groups: tuple[tuple[int, int], ...]
    """Of each its window and the bytes of one token."""

    @staticmethod
    def bytes_of_header(front: bytes) -> int:
        """From its first 136 bytes: how long the header is."""
        if len(front) < FIXED.size:
            raise StateError(f"a file must have at least {FIXED.size} bytes; it has {len(front)}")
        magic, version, *_, groups = FIXED.unpack_from(front)
        if magic != MAGIC:
            raise StateError(f"the bytes must start with {MAGIC!r}; they start with {magic!r}")
        if version != VERSION:
            raise StateError(f"version must be {VERSION}; it is {version}")
        if groups > MOST_GROUPS:
            raise StateError(f"groups must be at most {MOST_GROUPS}; they are {groups}")
        return int(FIXED.size + GROUP.size * groups)

    @staticmethod
    def read(front: bytes) -> "Frame":
        """Of bytes that begin with a whole header. Raises StateError."""
        length = Frame.bytes_of_header(front)
        if len(front) < length:
            raise StateError(f"the header must have {length} bytes; there are {len(front)}")
        *_, position, _sinks, kept, _kv, _recurrent, _zero, head_bytes, count = FIXED.unpack_from(front)
        if position > LARGEST_POSITION:
            raise StateError(f"position must be at most {LARGEST_POSITION}; it is {position}")
        groups = tuple(GROUP.unpack_from(front, FIXED.size + GROUP.size * at) for at in range(count))
        return Frame(front[:length], position, kept, head_bytes, groups)

    def extents(self, from_page: int = 0) -> Iterator[Extent]:
        """What a file without the rows of tokens before page `from_page` has of the whole one, in order."""
        first = PAGE_TOKENS * from_page
        at = len(self.header) + self.head_bytes
        yield Extent(0, at)
        for group, (_, token_bytes) in enumerate(self.groups):
            for held in self.tokens(group):
                begin = min(max(held.start, first), held.stop)
                yield Extent(at + (begin - held.start) * token_bytes, at + len(held) * token_bytes, group, begin)
                at += len(held) * token_bytes

    def file_bytes(self, from_page: int = 0) -> int:
        return sum(extent.stop - extent.start for extent in self.extents(from_page))

    def tokens(self, group: int) -> tuple[range, range]:
        """Those whose rows the whole file has: kept ones, and those of the window."""
        window = self.groups[group][0]
        start = min(self.position, max(0, self.position + 1 - window)) if window else 0
        return range(min(self.kept, start)), range(start, self.position)


def missing_rows(frame: Frame, base: Frame, from_page: int) -> Iterator[tuple[int, Extent]]:
    """What a file that begins at page `from_page` lacks, as extents of the file `base`, each with where it goes in the whole file.

    Raises StateError where `base` has it not."""
    if _rows_alike(frame) != _rows_alike(base):
        raise StateError("base must be a state of the same model, with keys and values of the same type; it is another")
    first = PAGE_TOKENS * from_page
    if first > min(frame.position, base.position):
        raise StateError(f"from_page must be at most {min(frame.position, base.position) // PAGE_TOKENS}; it is {from_page}")
    at = len(frame.header) + frame.head_bytes
    for group, (_, token_bytes) in enumerate(frame.groups):
        for held in frame.tokens(group):
            yield from _rows_of(base, group, range(held.start, min(max(held.start, first), held.stop)), at)
            at += len(held) * token_bytes


def _rows_of(base: Frame, group: int, tokens: range, target: int) -> Iterator[tuple[int, Extent]]:
    """Rows of consecutive tokens, in at most two extents: kept ones, and those of the window."""
    token_bytes, begin = base.groups[group][1], tokens.start
    for extent, held in zip(_group_extents(base, group), base.tokens(group), strict=True):
        end = min(tokens.stop, held.stop)
        if begin < held.start or begin >= end:
            continue
        start = extent.start + (begin - held.start) * token_bytes
        yield target, Extent(start, start + (end - begin) * token_bytes, group, begin)
        target += (end - begin) * token_bytes
        begin = end
    if begin < tokens.stop:
        raise StateError(f"base must have page {begin // PAGE_TOKENS}; it has not")


def _group_extents(frame: Frame, group: int) -> list[Extent]:
    return [extent for extent in frame.extents() if extent.token is not None and extent.group == group]


def _rows_alike(frame: Frame) -> bytes:
    header = bytearray(frame.header)
    for start, stop in _OF_ONE_STATE:
        header[start:stop] = bytes(stop - start)
    return bytes(header)
