"""The connector in a rank: reads and writes the rank's own KV heads, files beside the engine's steps and caches between them."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from spikingbrain.state.file import save_state
from spikingbrain.state.heads import put_heads
from spikingbrain.state.rows import StateError
from spikingbrain.state.state import State
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorTransferResults
from vllm.logger import init_logger

from spikingbrain_vllm.state.memory import SequenceMemory, is_finite
from spikingbrain_vllm.state.messages import Export, Import, Reports, Transfers
from spikingbrain_vllm.state.model_identity import ModelIdentity

logger = init_logger(f"vllm.{__name__}")
THREADS = 2


class RanksSide:
    """`heads` are the rank's KV heads; one rank of those that share them `writes` them."""

    def __init__(self, directory: Path, identity: ModelIdentity, memory: SequenceMemory, heads: range, *, writes: bool) -> None:
        self._directory = directory
        self._identity = identity
        self._memory = memory
        self._heads = heads
        self._writes = writes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="state")
        self._exports: list[tuple[Export, Future[None]]] = []
        self._imports: list[tuple[Import, Future[State]]] = []

    def step_done(self, transfers: Transfers) -> None:
        """The step's tokens are in the caches, and nothing writes there until the next one."""
        for export in transfers.exports:
            self._exports.append((export, self._begin(export)))
        for one in transfers.imports:
            path = self._directory / one.file
            self._imports.append((one, self._threads.submit(self._identity.load, path, one.digest, self._heads)))

    def results(self) -> tuple[KVConnectorTransferResults, Reports | None]:
        """What has been done since the last call."""
        results, reports = KVConnectorTransferResults(), Reports()
        for export, future in [one for one in self._exports if one[1].done()]:
            error = future.exception()
            reports.exports[export.file] = ["" if error is None else _told(error)]
            if export.is_last:
                results.finished_sending.add(export.request)
        self._exports = [one for one in self._exports if one[0].file not in reports.exports]
        for one, loaded in [one for one in self._imports if one[1].done()]:
            try:
                self._memory.write(one.blocks, one.local, _read_so_far(loaded.result(), one.tokens + self._memory.config.learned_sinks))
            except Exception as error:
                # Whatever is wrong with a file: the request is computed without it, and nobody else's answer ends.
                logger.warning("A state is not imported: %s", _told(error))
                results.failed_recving.add(one.request)
            results.finished_recving.add(one.request)
        self._imports = [one for one in self._imports if one[0].request not in results.finished_recving]
        return results, reports if reports.exports else None

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(self, export: Export) -> Future[None]:
        if not self._writes:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        try:
            state = self._memory.read(export.blocks, export.tokens)
        except Exception as error:
            failed: Future[None] = Future()
            failed.set_exception(error)
            return failed
        return self._threads.submit(self._write, export, state)

    def _write(self, export: Export, state: State) -> None:
        if not is_finite(state):
            raise StateError("numbers of a state must be finite; one is not")
        shape = self._identity.shape(state.position)
        part = save_state(state, self._memory.config, int8_rows=shape.encoding.int8_rows)
        whole = np.memmap(self._directory / export.file, dtype=np.uint8, mode="r+")
        put_heads(whole, shape, part, self._heads)


def _read_so_far(state: State, position: int) -> State:
    """A file of constant size may say another position and be as long. Raises StateError."""
    if state.position != position:
        raise StateError(f"position must be {position}; it is {state.position}")
    return state


def _told(error: BaseException) -> str:
    """What may be said of it: our own errors name rules and values, others may hold anything."""
    return str(error) if isinstance(error, StateError) else type(error).__name__
