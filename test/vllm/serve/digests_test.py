"""A folder and the GGUF that is exported from it are one model to the pool: their tokenizers have one digest, and it is the edge's."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain_vllm.serve.digests import tokenizer_digest
from support.models import SEVEN, write_model
from support.wasm import NODE, ROOT
from tokenizers.pre_tokenizers import ByteLevel

TABLE: dict[str, Any] = json.loads((ROOT / "test/fixtures/tokenizer-files.json").read_text(encoding="utf-8"))
TOKENS = 265
_EDGE = """
import { readGgufFacts } from "./infra/local/gguf/metadata.ts";
const { tokenizer } = await readGgufFacts(process.argv[1]);
process.stdout.write(JSON.stringify(tokenizer));
"""


def write_tokenizer(folder: Path, settings: dict[str, Any]) -> None:
    file: dict[str, Any] = json.loads(json.dumps(TABLE["file"]))
    words = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in file["model"]["merges"])]
    file["model"]["vocab"] = {word: place for place, word in enumerate(words)}
    (folder / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(TABLE["settings"] | settings), encoding="utf-8")


@pytest.mark.parametrize(
    ("vocabulary", "settings"),
    [
        (TOKENS, {}),
        (TOKENS, {"pad_token": "<tool>", "unk_token": "<s>", "chat_template": "{{ messages[0].content }}"}),
        # Rows of the embedding that no token has.
        (TOKENS + 7, {}),
        (512, {"pad_token": "</s>", "chat_template": "{{ messages[0].content }}"}),
    ],
)
def test_a_folder_and_its_gguf_have_one_tokenizer(vocabulary: int, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = write_model(replace(SEVEN, vocabulary=vocabulary, end_tokens=()), tmp_path / "folder")
    write_tokenizer(folder, settings)
    file = tmp_path / "model.gguf"
    # As `python -m spikingbrain export` does it.
    write_gguf(open_checkpoint(folder), file, "f32", find_tokenizer(folder, open_checkpoint(folder)))
    digests = []
    for path in (folder, file):
        tokenizer = find_tokenizer(path, open_checkpoint(path))
        assert tokenizer is not None and len(tokenizer.tokens) == vocabulary
        digests.append(tokenizer_digest(tokenizer))
    edge = subprocess.run(
        [str(NODE), "--no-warnings", "--input-type=module-typescript", "-e", _EDGE, str(file)], cwd=ROOT, capture_output=True, check=True
    )
    assert digests == [hashlib.sha256(edge.stdout).hexdigest()] * 2
