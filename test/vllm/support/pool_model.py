"""Writes the tiny 7B-like model in f32 as a GGUF, which a replica and the WASM engine both serve: `python pool_model.py FILE`."""

import sys
from pathlib import Path

from spikingbrain.export.gguf_writer import write_gguf
from support.models import SEVEN, TinyWeights

write_gguf(TinyWeights(SEVEN), Path(sys.argv[1]), "f32")
