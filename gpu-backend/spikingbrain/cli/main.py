"""Reads the command line. Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted. Results go to stdout, the rest to stderr."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.rules import ConfigError

from . import convert, evaluate, export, inspect, logits, quantize, upcycle

COMMANDS = (convert, export, upcycle, quantize, logits, inspect, evaluate)
EXTRAS = {"model": ("torch", "safetensors", "gguf", "jinja2", "numpy", "tokenizers"), "evaluate": ("lm_eval", "transformers")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; argparse itself exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m spikingbrain", description="SpikingBrain checkpoints: convert, inspect, run, evaluate."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("spikingbrain").setLevel(logging.INFO)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            chosen.run(chosen)
            sys.stdout.flush()
            return 0
        except (CheckpointError, ConfigError) as error:
            return _failed(str(error))
        except ModuleNotFoundError as error:
            extra = next((extra for extra, modules in EXTRAS.items() if error.name in modules), None)
            if extra is None:
                raise
            return _failed(f"the package '{error.name}' is not installed; it comes with the extra '{extra}' of gpu-backend/pyproject.toml")
        except BrokenPipeError:
            # The reader has gone; Python must not complain about it again when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except OSError as error:
            return _failed(str(error))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130


def _failed(message: str) -> int:
    # What a file calls its tensors must not move the cursor of a terminal.
    printable = "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in message)
    print(f"error: {printable}", file=sys.stderr)
    return 1


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    print(f"warning: {message}", file=sys.stderr)
