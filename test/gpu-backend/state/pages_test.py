"""A file without its first pages, and whole again."""

import struct

import pytest
import torch
from spikingbrain.config import Config
from spikingbrain.state.file import StateError, save_state
from spikingbrain.state.header import FIXED
from spikingbrain.state.pages import PAGE_TOKENS, Frame, missing_rows
from support.model_examples import MODELS, SEVEN, model_of, name_of, text_of

FLOAT = torch.float32


def files(config: Config, *lengths: int) -> list[bytes]:
    """States of one text at these lengths."""
    model, text, found = model_of(config, FLOAT), text_of(config, max(lengths)), []
    state, read = model.new_state(), 0
    for length in lengths:
        state, read = model.step(state, text[read:length])[1], length
        found.append(save_state(state, config))
    return found


def part_of(data: bytes, from_page: int) -> bytes:
    return b"".join(data[extent.start : extent.stop] for extent in Frame.read(data).extents(from_page))


def joined(part: bytes, from_page: int, base: bytes) -> bytes:
    frame = Frame.read(part)
    whole, at = bytearray(frame.file_bytes()), 0
    for extent in frame.extents(from_page):
        size = extent.stop - extent.start
        whole[extent.start : extent.stop] = part[at : at + size]
        at += size
    assert at == len(part)
    for target, extent in missing_rows(frame, Frame.read(base), from_page):
        whole[target : target + extent.stop - extent.start] = base[extent.start : extent.stop]
    return bytes(whole)


@pytest.mark.parametrize("config", MODELS, ids=name_of)
def test_a_later_state_is_its_new_pages_and_the_earlier_state(config: Config) -> None:
    earlier, later = files(config, 70, 133)
    assert Frame.read(later).file_bytes() == len(later)
    assert part_of(later, 0) == later
    for from_page in range(Frame.read(earlier).position // PAGE_TOKENS + 1):
        part = part_of(later, from_page)
        assert len(part) == Frame.read(later).file_bytes(from_page)
        assert joined(part, from_page, earlier) == later


@pytest.mark.parametrize("config", MODELS, ids=name_of)
def test_a_page_that_the_earlier_state_has_not_is_named(config: Config) -> None:
    earlier, later = files(config, 70, 133)
    frame, base = Frame.read(later), Frame.read(earlier)
    beyond = base.position // PAGE_TOKENS + 1
    with pytest.raises(StateError, match=f"from_page must be at most {beyond - 1}; it is {beyond}"):
        list(missing_rows(frame, base, beyond))


def test_rows_that_have_left_the_window_of_the_base_are_named() -> None:
    earlier, later = files(SEVEN, 66, 133)
    with pytest.raises(StateError, match="base must have page 1; it has not"):
        list(missing_rows(Frame.read(earlier), Frame.read(later), 2))


def test_a_base_of_another_model_is_refused() -> None:
    (data,) = files(SEVEN, 70)
    other = bytearray(data)
    other[8] ^= 1
    with pytest.raises(StateError, match="base must be a state of the same model"):
        list(missing_rows(Frame.read(data), Frame.read(bytes(other)), 1))


@pytest.mark.parametrize(
    ("at", "form", "value", "message"),
    [
        (0, "4s", b"SBSX", "must start with b'SBST'"),
        (4, "<I", 4, "version must be 3; it is 4"),
        (104, "<Q", 2**30 + 1, "position must be at most 1073741824"),
        (132, "<I", 2**31, "groups must be at most 4096"),
        (132, "<I", 4_000, "the header must have 32136 bytes"),
    ],
)
def test_a_header_that_lies_is_refused(at: int, form: str, value: int, message: str) -> None:
    (data,) = files(SEVEN, 9)
    front = bytearray(data)
    struct.pack_into(form, front, at, value)
    with pytest.raises(StateError, match=message):
        Frame.read(bytes(front))
    with pytest.raises(StateError, match="a file must have at least 136 bytes"):
        Frame.read(data[: FIXED.size - 1])
