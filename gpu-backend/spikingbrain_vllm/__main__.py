"""`python -m spikingbrain_vllm`: `serve` is a replica, `plan` says what one needs. Exit codes: 0 done, 1 failed, 2 wrong arguments."""

import argparse
import sys
from collections.abc import Sequence

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.rules import ConfigError

from spikingbrain_vllm.plan import command as plan
from spikingbrain_vllm.serve import command as serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; argparse itself exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m spikingbrain_vllm", description="SpikingBrain models on vLLM: serve them, plan for them."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (serve, plan):
        command.add(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # argparse has no place for what follows a command's own options.
    end = given.index("--") if "--" in given else len(given)
    chosen = parser.parse_args(given[:end])
    if given[end:]:
        if not hasattr(chosen, "engine"):
            parser.error("only `serve` has options after `--`")
        chosen.engine = given[end + 1 :]
    try:
        code: int = chosen.run(chosen)
        return code
    except (CheckpointError, ConfigError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
