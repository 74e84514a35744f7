"""What whole conversions begin with: a teacher, whose vocabulary is that of `checkpoint_models`, texts and settings."""

import json
from pathlib import Path

from spikingbrain.config import Biases, Config, Layer
from support.checkpoint_files import random_tensors, write_config, write_weights
from support.checkpoint_models import VOCABULARY, write_tokenizer

TEACHER = Config(
    name="tiny teacher",
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocabulary=VOCABULARY,
    feed_forward_inner=96,
    layers=(Layer(mixer=("full",)),) * 2,
    context=512,
    biases=Biases(query_key_value=False),
    tied_head=True,
)


def write_materials(folder: Path) -> None:
    """The teacher in `teacher`, texts to train on in `train.jsonl`, held-out ones in `held.txt` and `other.txt`."""
    write_config(folder / "teacher", TEACHER)
    write_weights(folder / "teacher", random_tensors(TEACHER))
    write_tokenizer(folder / "teacher")
    lines = [json.dumps({"text": f"the tale of hello number {number} is told to the end " * 3}) for number in range(20)]
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "held.txt").write_text("hello to all of the others " * 40, encoding="utf-8")
    (folder / "other.txt").write_text("another tale of hello " * 40, encoding="utf-8")


def write_settings(template: str, folder: Path, work: str) -> Path:
    """A settings file for this work folder, from a template with `{folder}` and `{work}`."""
    path = folder / f"{work}.toml"
    path.write_text(template.format(folder=folder, work=work), encoding="utf-8")
    return path
