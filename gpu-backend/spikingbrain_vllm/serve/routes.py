"""A replica's own routes."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from spikingbrain_vllm.node.facts import facts
from spikingbrain_vllm.serve.allowed import LIVE
from spikingbrain_vllm.serve.errors import busy
from spikingbrain_vllm.serve.load import cached_prefixes, engine_load
from spikingbrain_vllm.serve.replica import Replica
from spikingbrain_vllm.serve.served_model import ServedModel

if TYPE_CHECKING:
    from vllm.config import VllmConfig


def router(replica: Replica, model: ServedModel, vllm_config: "VllmConfig") -> APIRouter:
    routes = APIRouter()

    @routes.get(LIVE)
    async def live() -> JSONResponse:
        return JSONResponse({"status": "live"})

    @routes.get("/ready")
    async def ready() -> JSONResponse:
        """200 once the engine has given a token, and until it drains."""
        if replica.status != "ready":
            return busy(f"replica_{replica.status}", f"this replica is {replica.status}").response()
        return JSONResponse({"status": "ready"})

    @routes.get("/replica")
    async def described() -> JSONResponse:
        return JSONResponse(describe(replica, model, vllm_config))

    return routes


def describe(replica: Replica, model: ServedModel, vllm_config: "VllmConfig") -> dict[str, Any]:
    parallel, cache, told = vllm_config.parallel_config, vllm_config.cache_config, facts(replica, model, vllm_config)
    return {
        "models": told["models"],
        "model": {
            "id": model.id,
            "digest": model.digest,
            "tokenizer_digest": model.tokenizer_digest,
            "fingerprint": model.fingerprint,
            "vocabulary_size": model.vocabulary,
            "context_length": vllm_config.model_config.max_model_len,
            "dtype": str(vllm_config.model_config.dtype).removeprefix("torch."),
        },
        "status": replica.status,
        "load": {**engine_load(), **told["load"], "requests": replica.requests},
        "state": {
            # Of vLLM's blocks, which hold keys, values and states of running and cached sequences.
            "free_share": told["load"]["free_share"],
            "blocks": (cache.num_gpu_blocks or 0) * parallel.data_parallel_size,
            "block_tokens": cache.block_size,
            "is_moved": vllm_config.kv_transfer_config is not None,
        },
        "cached_prefixes": {"is_on": bool(cache.enable_prefix_caching), **cached_prefixes()},
        "parallel": {
            "tensor": parallel.tensor_parallel_size,
            "data": parallel.data_parallel_size,
            "experts": parallel.enable_expert_parallel,
        },
        "versions": told["versions"],
    }
