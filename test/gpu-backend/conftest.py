"""Memory that nobody has written is NaN, in every test here: a read of it shows. One thread, since the tensors are tiny, also in processes
that tests start: several wait for one another, at length where cores are shared."""

import os
from collections.abc import Iterator

import pytest
import torch

os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _poisoned_memory() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
