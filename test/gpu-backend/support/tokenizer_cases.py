"""The table of tokenizer files in `test/fixtures/tokenizer-files.json`, which the test of the TypeScript reader reads too."""

import copy
import json
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

TABLE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "fixtures" / "tokenizer-files.json").read_text(encoding="utf-8"))


def file_of(table: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """A case's tokenizer.json: the table's, with the byte alphabet and the merged words as its vocabulary, and with what the case sets.

    Beside paths into the file, a case may name a byte to leave out of the vocabulary (`without`).
    """
    file: dict[str, Any] = copy.deepcopy(table["file"])
    changes = dict(case["set"])
    words = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in file["model"]["merges"])]
    left_out = changes.pop("without", None)
    file["model"]["vocab"] = {word: id_ for id_, word in enumerate(words) if word != left_out}
    for path, value in changes.items():
        *way, last = path.split(".")
        place: Any = file
        for step in way:
            place = place[int(step) if step.isdecimal() else step]
        place[last] = value
    return file


def settings_of(table: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """A case's tokenizer_config.json."""
    return {**table["settings"], **case.get("settings", {})}
