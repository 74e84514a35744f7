"""Prints by which digest a replica knows a folder's tokenizer. Usage: replica_tokenizer.py FOLDER VOCABULARY."""

import sys
from pathlib import Path

from spikingbrain.checkpoint.tokenizer import read_tokenizer
from spikingbrain_vllm.serve.digests import tokenizer_digest

if __name__ == "__main__":
    print(tokenizer_digest(read_tokenizer(Path(sys.argv[1]), int(sys.argv[2]))))
