"""vLLM's KV connector for states: loads are asynchronous, several KV cache groups are one state, and where one fails only time is lost."""

from typing import TYPE_CHECKING, Any

from vllm.config import VllmConfig
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorMetadata,
    KVConnectorRole,
    KVConnectorTransferResults,
    SupportsHMA,
)
from vllm.v1.kv_cache_interface import KVCacheConfig, SlidingWindowSpec

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.state.identity_of import check_engine, identity_of, settings_of
from spikingbrain_vllm.state.memory import SequenceMemory
from spikingbrain_vllm.state.messages import Reports, Transfers
from spikingbrain_vllm.state.ranks_side import RanksSide
from spikingbrain_vllm.state.scheduler_side import SchedulerSide
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import StateStore

if TYPE_CHECKING:
    import torch
    from vllm.forward_context import ForwardContext
    from vllm.v1.attention.backend import AttentionMetadata
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.outputs import KVConnectorOutput
    from vllm.v1.request import Request


class StateConnector(KVConnectorBase_V1, SupportsHMA):
    """One in the scheduler, one in each rank."""

    def __init__(self, vllm_config: VllmConfig, role: KVConnectorRole, kv_cache_config: KVCacheConfig) -> None:
        super().__init__(vllm_config=vllm_config, role=role, kv_cache_config=kv_cache_config)
        check_engine(vllm_config)
        self._identity = identity_of(vllm_config)
        settings = settings_of(vllm_config)
        self._directory = StoreDirectory(settings.directory)
        self._ranks: RanksSide | None = None
        self._scheduler: SchedulerSide | None = None
        self._reports: Reports | None = None
        if role == KVConnectorRole.SCHEDULER:
            self._scheduler = SchedulerSide(
                StateStore(self._directory, self._identity.digest, settings.limits),
                self._identity,
                ranks=vllm_config.parallel_config.tensor_parallel_size,
                caches_prefixes=bool(vllm_config.cache_config.enable_prefix_caching),
            )

    @property
    def requires_kv_delivery(self) -> bool:
        """A state that is not written costs time later, and no answer now."""
        return False

    def shutdown(self) -> None:
        """Leaves no file behind, where this is the last process of the replica."""
        if self._ranks is not None:
            self._ranks.close()
        if self._scheduler is not None:
            self._scheduler.close()
        self._directory.close()

    # In a rank.

    def register_kv_caches(self, kv_caches: dict[str, "torch.Tensor"]) -> None:
        """Asks each attention backend where it puts keys and values. Raises ValueError where that cannot be known."""
        config = self._identity.config
        heads, ranks = Heads.here(config), self._vllm_config.parallel_config.tensor_parallel_size
        own = range(heads.kv_first, heads.kv_first + heads.kv_count)
        layers = self._vllm_config.compilation_config.static_forward_context
        memory = SequenceMemory(config, own, self._kv_cache_config, layers, self._vllm_config.cache_config.mamba_cache_mode)
        sharing = max(1, ranks // config.kv_heads)
        writes = get_tensor_model_parallel_rank() % sharing == 0
        self._ranks = RanksSide(self._directory.path, self._identity, memory, own, writes=writes)

    def start_load_kv(self, forward_context: "ForwardContext", **kwargs: Any) -> None:  # noqa: ANN401
        """All is done when the step is."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Loads are asynchronous."""

    def save_kv_layer(self, layer_name: str, kv_layer: "torch.Tensor", attn_metadata: "AttentionMetadata", **kwargs: Any) -> None:  # noqa: ANN401
        """States are read when the step is done."""

    def wait_for_save(self) -> None:
        """vLLM calls it once for each step, after the forward pass; also where there is none."""
        if self._ranks is not None and self.has_connector_metadata():
            transfers = self._get_connector_metadata()
            assert isinstance(transfers, Transfers)
            self._ranks.step_done(transfers)

    def get_transfer_results(self, finished_req_ids: set[str]) -> KVConnectorTransferResults:
        if self._ranks is None:
            return KVConnectorTransferResults()
        results, self._reports = self._ranks.results()
        return results

    def build_connector_worker_meta(self) -> Reports | None:
        reports, self._reports = self._reports, None
        return reports

    # In the scheduler.

    def get_loaded_kv_cache_group_ids(self, request: "Request") -> tuple[int, ...]:
        """All: whole blocks are written, so that none is to be zeroed before."""
        return tuple(range(len(self._kv_cache_config.kv_cache_groups)))

    def on_new_request(self, request: "Request") -> None:
        self._of_scheduler.begins(request)

    def get_num_new_matched_tokens(self, request: "Request", num_computed_tokens: int) -> tuple[int | None, bool]:
        """Always asynchronous: a state that is loaded within a step would be overwritten by vLLM's own copies of aligned states."""
        tokens = self._of_scheduler.match(request, num_computed_tokens)
        return tokens, tokens > 0

    def update_state_after_alloc(self, request: "Request", blocks: "KVCacheBlocks", num_external_tokens: int) -> None:
        if num_external_tokens > 0:
            self._keep_out_of_prefix_cache(request)
        self._of_scheduler.allocated(request, tuple(list(ids) for ids in blocks.get_block_ids()), num_external_tokens)

    def build_connector_meta(self, scheduler_output: "SchedulerOutput") -> KVConnectorMetadata:
        manager = self._kv_cache_manager
        assert manager is not None
        return self._of_scheduler.plan(scheduler_output, manager.get_block_ids)

    def update_connector_output(self, connector_output: "KVConnectorOutput") -> None:
        reports = connector_output.kv_connector_worker_meta
        assert reports is None or isinstance(reports, Reports)
        imported, failed = connector_output.finished_recving or set(), connector_output.failed_recving or set()
        self._of_scheduler.reported(reports or Reports(), set(imported), set(failed))

    def request_finished_all_groups(self, request: "Request", block_ids: tuple[list[int], ...]) -> tuple[bool, dict[str, Any] | None]:
        return self._of_scheduler.ends(request, tuple(list(ids) for ids in block_ids))

    def request_finished(self, request: "Request", block_ids: list[int]) -> tuple[bool, dict[str, Any] | None]:
        return self.request_finished_all_groups(request, (block_ids,))

    def has_pending_push_work(self) -> bool:
        """Steps go on, with nothing to compute, until the ranks have told that all is written."""
        return self._of_scheduler.is_writing

    @property
    def _of_scheduler(self) -> SchedulerSide:
        assert self._scheduler is not None
        return self._scheduler

    def _keep_out_of_prefix_cache(self, request: "Request") -> None:
        """A state has the rows of a window and no earlier ones, so the first block that it fills may lack some. It must not become
        another request's, whose window may begin within it."""
        manager = self._kv_cache_manager
        assert manager is not None
        tokens = self._of_scheduler.promised(request)
        for group, one in zip(self._kv_cache_config.kv_cache_groups, manager.coordinator.single_type_managers, strict=True):
            spec = group.kv_cache_spec
            if isinstance(spec, SlidingWindowSpec):
                whole = -(-max(0, tokens + 1 - spec.sliding_window) // spec.block_size)
                cached = one.num_cached_block
                cached[request.request_id] = max(cached.get(request.request_id, 0), whole)
