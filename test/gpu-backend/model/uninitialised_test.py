"""That the poison of conftest.py reaches whatever a read of unwritten memory would come from."""

import pytest
import torch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_unwritten_memory_is_nan(dtype: torch.dtype) -> None:
    like = torch.zeros(3, dtype=dtype)
    made = [torch.empty(3, dtype=dtype), torch.empty_like(like), like.new_empty(3), torch.empty_strided((3,), (1,), dtype=dtype)]
    assert all(bool(one.isnan().all()) for one in made)
