"""What vLLM finds, in this process and in every other."""

import subprocess
import sys
from importlib.metadata import entry_points

from spikingbrain_vllm.plugin import OPERATIONS, register


def test_the_installed_project_is_found_by_its_entry_point() -> None:
    found = [point for point in entry_points(group="vllm.general_plugins") if point.name == "spikingbrain"]
    assert [point.value for point in found] == ["spikingbrain_vllm.plugin:register"]


def test_registering_twice_changes_nothing() -> None:
    from vllm.config import CompilationConfig

    register()
    register()
    # Where a captured graph must be cut.
    assert [CompilationConfig._attention_ops.count(operation) for operation in OPERATIONS] == [1] * len(OPERATIONS)


def test_what_a_plain_vllm_has_not_is_not_imported() -> None:
    """Neither kernels for GPUs nor anybody's code of a checkpoint."""
    program = (
        "import sys; from spikingbrain_vllm.plugin import register; register(); import spikingbrain_vllm.model; "
        "assert not {'fla', 'flash_attn', 'triton'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
