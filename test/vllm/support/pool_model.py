"""Writes the tiny 7B-like model in f32 for the pool's tests: as a GGUF, which a replica and the WASM engine both serve, and as a folder,
which plain vLLM does. `python pool_model.py FILE FOLDER`"""

import sys
from pathlib import Path

from spikingbrain.export.gguf_writer import write_gguf
from support.models import SEVEN, TinyWeights, write_model

write_gguf(TinyWeights(SEVEN), Path(sys.argv[1]), "f32")
write_model(SEVEN, Path(sys.argv[2]))
