"""The table of hostile files (`test/fixtures/hostile`): each is refused in words, as a user of the commands sees, and in little memory."""

import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_header import read_header
from spikingbrain.cli.main import main
from spikingbrain.state.file import StateError, load_state

TABLE = Path(__file__).parents[1] / "fixtures/hostile"
SOUND = TABLE / "sound"
ROWS: list[dict[str, Any]] = json.loads((TABLE / "cases.json").read_text())
WEIGHTS = {"safetensors": "model.safetensors", "pickle": "pytorch_model.bin"}
PLACES = {**WEIGHTS, "config": "config.json", "index": "model.safetensors.index.json", "tokenizer": "tokenizer.json"}
BASES = {**PLACES, "gguf": "model.gguf", "state": "state.sbst"}
# What reading takes beside a few times the file's bytes.
MEMORY_PER_BYTE, FIXED_BYTES = 64, 2 << 20
# Of the sound file of each kind.
MUTATIONS = 150

Capture = pytest.CaptureFixture[str]


def _made(row: dict[str, Any]) -> bytes:
    sound = (SOUND / BASES[row["kind"]]).read_bytes()
    return b"".join(sound[first:second] if isinstance(first, int) else bytes.fromhex(first) * second for first, second in row["parts"])


def _placed(kind: str, content: bytes, folder: Path) -> list[str]:
    """Puts the file where a reader of its kind finds it; returns the command that reads it."""
    if kind == "gguf":
        (folder / "model.gguf").write_bytes(content)
        return ["inspect", str(folder / "model.gguf")]
    for name in ("config.json", "tokenizer.json", WEIGHTS.get(kind, "model.safetensors")):
        shutil.copy(SOUND / name, folder / name)
    (folder / PLACES[kind]).write_bytes(content)
    if kind == "tokenizer":
        return ["export", str(folder), str(folder / "out.gguf"), "--type", "f32"]
    return ["inspect", str(folder)]


def _of(*kinds: str) -> pytest.MarkDecorator:
    rows = [row for row in ROWS if row["kind"] in kinds]
    assert rows
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row['kind']}: {row['name']}")


@pytest.mark.parametrize("kind", ["gguf", *PLACES])
def test_the_sound_file_is_taken(kind: str, capsys: Capture, tmp_path: Path) -> None:
    assert main(_placed(kind, (SOUND / BASES[kind]).read_bytes(), tmp_path)) == 0
    assert "error" not in capsys.readouterr().err


@_of("gguf", *PLACES)
def test_a_hostile_file_is_one_message(row: dict[str, Any], capsys: Capture, tmp_path: Path) -> None:
    content = _made(row)
    command = _placed(row["kind"], content, tmp_path)
    if row["stage"] == "values":
        command = ["logits", "--model", command[-1], "--tokens", "1,2"]
    tracemalloc.start()
    try:
        status = main(command)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    captured = capsys.readouterr()
    assert (status, captured.out) == (1, "")
    message = captured.err
    assert message.startswith("error: ") and str(tmp_path) in message and "Traceback" not in message
    assert "weights_only" not in message and "miniz" not in message
    for words in (*row["says"], *row["also"]):
        assert words in message
    assert peak < MEMORY_PER_BYTE * len(content) + FIXED_BYTES
    assert not (tmp_path / "out.gguf").exists()


@_of("state")
def test_a_hostile_state_is_refused(row: dict[str, Any]) -> None:
    config, content = GgufFile(SOUND / "model.gguf").config, _made(row)
    tracemalloc.start()
    try:
        with pytest.raises(StateError) as caught:
            load_state(content, config, torch.float32, torch.device("cpu"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    for words in row["says"]:
        assert words in str(caught.value)
    assert peak < MEMORY_PER_BYTE * len(content) + FIXED_BYTES


def test_the_sound_state_is_taken() -> None:
    config = GgufFile(SOUND / "model.gguf").config
    state = load_state((SOUND / "state.sbst").read_bytes(), config, torch.float32, torch.device("cpu"))
    assert state.position == 5


@pytest.mark.parametrize("name", ["model.gguf", "folder"])
def test_what_is_no_file(name: str, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name == "folder":
        shutil.copy(SOUND / "config.json", tmp_path / name)
        (tmp_path / name / "model.safetensors").mkdir()
    assert main(["inspect", str(tmp_path / name)]) == 1
    assert str(tmp_path / name) in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\x85\xff", b"a = " + b"[" * 50_000, b"<!DOCTYPE html>"])
def test_settings_of_a_conversion(content: bytes, capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    assert main(["convert", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {path} must be a TOML file; it is ")


def test_weights_that_overflow(capsys: Capture, tmp_path: Path) -> None:
    file = bytearray((SOUND / "model.gguf").read_bytes())
    for tensor in read_header(bytes(file)).tensors:
        value = 3e38 if tensor.name == "output_norm.weight" else 1.0
        file[tensor.offset : tensor.offset + tensor.bytes] = np.full(tensor.shape, value, dtype="<f4").tobytes()
    path = tmp_path / "model.gguf"
    path.write_bytes(file)
    assert main(["logits", "--model", str(path), "--tokens", "1,2"]) == 1
    assert "logits must be finite" in capsys.readouterr().err


def test_a_merge_of_what_is_no_token(capsys: Capture, tmp_path: Path) -> None:
    command = _placed("tokenizer", (SOUND / "tokenizer.json").read_bytes().replace(b'"ab": 3', b'"ba": 3'), tmp_path)
    (tmp_path / "text.txt").write_text("a b c " * 9)
    assert main(["evaluate", "perplexity", "--model", command[1], "--text", str(tmp_path / "text.txt")]) == 1
    assert "merge 0 must be of tokens and make one; 'ab' is none" in capsys.readouterr().err


def _mutated(content: bytes, random: Random) -> bytes:
    spoilt = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        at, kind = random.randrange(len(spoilt)), random.randrange(5)
        if kind == 0:
            spoilt[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            spoilt[at : at + 8] = random.choice((b"\xff" * 8, bytes(8), (1 << random.randrange(64)).to_bytes(8, "little")))
        elif kind == 2:
            spoilt[at] = random.choice(b'\0\1\x7f\x80\xff"[]{}0-')
        elif kind == 3:
            del spoilt[at : at + random.randrange(1, 20)]
        else:
            spoilt[at:at] = spoilt[random.randrange(len(spoilt)) :][: random.randrange(1, 30)]
    return bytes(spoilt) or b"?"


@pytest.mark.parametrize("kind", ["gguf", *PLACES])
def test_mutations_are_taken_or_one_message(kind: str, capsys: Capture, tmp_path: Path) -> None:
    random, sound, refused = Random(kind), (SOUND / BASES[kind]).read_bytes(), 0
    for _ in range(MUTATIONS):
        command = _placed(kind, _mutated(sound, random), tmp_path)
        if kind != "tokenizer" and random.random() < 0.5:
            command = ["logits", "--model", command[1], "--tokens", "1,2"]
        status = main(command)
        message = capsys.readouterr().err
        last = [line for line in message.splitlines() if not line.startswith("warning: ")]
        assert status == 0 or (last and last[0].startswith("error: ")), message
        refused += status
        (tmp_path / "out.gguf").unlink(missing_ok=True)
    assert refused > MUTATIONS / 4


def test_mutated_states_are_taken_or_refused() -> None:
    config, sound = GgufFile(SOUND / "model.gguf").config, (SOUND / "state.sbst").read_bytes()
    random, refused = Random(1), 0
    for _ in range(MUTATIONS):
        try:
            load_state(_mutated(sound, random), config, torch.float32, torch.device("cpu"))
        except StateError:
            refused += 1
    assert refused > MUTATIONS / 4


def test_a_command_of_its_own_says_the_same(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row["name"] == "49 bytes that claim 2^60 numbers")
    content = _made(row)
    assert len(content) == 49
    command = _placed("gguf", content, tmp_path)
    ran = subprocess.run([sys.executable, "-m", "spikingbrain", *command], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"error: {command[1]} cannot be read as GGUF: 'k' claims {1 << 60} items; at most {64 << 20} are possible\n"


def test_the_table_is_what_its_generator_makes() -> None:
    ran = subprocess.run([sys.executable, str(TABLE / "make_cases.py"), "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_there_are_enough_of_every_kind() -> None:
    counts = {kind: sum(row["kind"] == kind for row in ROWS) for kind in (*BASES, "session")}
    assert len(ROWS) == sum(counts.values()) > 300
    assert min(counts.values()) >= 12
