"""vLLM on a CPU, its engine in this process: set before vLLM is imported, and inherited by what tests start. One thread, since the tensors
are tiny: several wait for one another, at length where cores are shared."""

import os

os.environ.update(
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS="1",
    TRANSFORMERS_OFFLINE="1",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
    VLLM_NO_USAGE_STATS="1",
)
