"""What a replica says of itself to the edge (`workers/pool/registry/message.ts`) and at its own route, beside who it is."""

from typing import TYPE_CHECKING, Any

from spikingbrain_vllm.serve.load import engine_load, used_share
from spikingbrain_vllm.serve.replica import Replica
from spikingbrain_vllm.serve.served_model import ServedModel
from spikingbrain_vllm.serve.versions import versions
from spikingbrain_vllm.telemetry.settings import directory_of

if TYPE_CHECKING:
    from vllm.config import VllmConfig

ABILITIES = ("continued", "prompt_logprobs", "logit_bias", "long_seeds", "token_rules", "scored_tokens")
"""What a replica can beyond any server of token ids (`workers/contracts/abilities.ts`)."""
OF_TOKENIZERS = ("constraints",)
"""Where the model's tokenizer is there."""
OF_STATES = ("states", "states_on_the_way")
"""Where states move. One on the way is that of a request for a part of the prompt."""


def facts(replica: Replica, model: ServedModel, vllm_config: "VllmConfig") -> dict[str, Any]:
    known = versions()
    moves = vllm_config.kv_transfer_config is not None
    described = {
        "id": model.id,
        "digest": model.digest,
        "tokenizer_digest": model.tokenizer_digest,
        "architecture": "spikingbrain",
        "parameters": model.parameters,
        "vocabulary_size": model.vocabulary,
        "context_length": vllm_config.model_config.max_model_len,
        "abilities": [*ABILITIES, *(OF_TOKENIZERS if model.has_tokenizer else ()), *(OF_STATES if moves else ())],
        "kernel": f"vllm-{known['vllm']}",
        # Not told over HTTP: a replica does not report its state while it answers.
        "state": None,
        "spikes": None if directory_of(vllm_config) is None else vllm_config.model_config.hf_config.definition.spiking.mode,
    }
    waiting, engines = engine_load()["waiting"], vllm_config.parallel_config.data_parallel_size
    load = {
        # Those that have come and that vLLM has not counted yet are here too.
        "running": max(0, replica.requests - waiting),
        "waiting": waiting,
        "most_requests": replica.most_requests,
        "most_running": engines * vllm_config.scheduler_config.max_num_seqs,
        "free_share": max(0.0, 1.0 - used_share(engines)),
        "loaded": True,
    }
    return {"models": [described], "load": load, "versions": known}
