"""What vLLM counts, and what this package counts beside it."""

from collections.abc import Iterable, Mapping

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spikingbrain_vllm.serve.replica import Replica
from spikingbrain_vllm.serve.served_model import ServedModel


def measured(*names: str) -> dict[str, float]:
    """Counters (whose names end in `_total`) and gauges of vLLM, each the sum over its engines; 0 before the first step."""
    found = dict.fromkeys(names, 0.0)
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name in found:
                found[sample.name] += sample.value
    return found


_LOAD = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "preempted": "vllm:num_preemptions_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generated_tokens": "vllm:generation_tokens_total",
}
_PREFIXES = {
    "asked_tokens": "vllm:prefix_cache_queries_total",
    "found_tokens": "vllm:prefix_cache_hits_total",
    "state_asked_tokens": "vllm:external_prefix_cache_queries_total",
    "state_found_tokens": "vllm:external_prefix_cache_hits_total",
}


def engine_load() -> dict[str, int]:
    return _told(_LOAD)


def cached_prefixes() -> dict[str, int]:
    """Tokens of prompts that were looked for in the prefix cache, and that were found; likewise in states from elsewhere."""
    return _told(_PREFIXES)


def used_share(engines: int) -> float:
    """Of the engines' blocks."""
    (used,) = measured("vllm:kv_cache_usage_perc").values()
    return used / engines


def _told(names: Mapping[str, str]) -> dict[str, int]:
    found = measured(*names.values())
    return {told: int(found[name]) for told, name in names.items()}


class ReplicaMetrics(Collector):
    """Ours, in `/metrics` beside vLLM's. No label comes from a request."""

    def __init__(self, replica: Replica, model: ServedModel) -> None:
        self._replica, self._model = replica, model

    def collect(self) -> Iterable[Metric]:
        of_model = ["model", "digest", "tokenizer_digest"]
        info = GaugeMetricFamily("spikingbrain_replica", "1 with the model that is served", labels=of_model)
        info.add_metric([self._model.id, self._model.digest, self._model.tokenizer_digest], 1)
        yield info
        status = GaugeMetricFamily("spikingbrain_replica_status", "1 for the status that the replica has", labels=["status"])
        for one in ("starting", "ready", "draining", "failed"):
            status.add_metric([one], int(self._replica.status == one))
        yield status
        yield GaugeMetricFamily("spikingbrain_replica_requests", "Requests that are answered now", value=self._replica.requests)
        most = self._replica.most_requests
        yield GaugeMetricFamily("spikingbrain_replica_requests_limit", "Requests that are answered at once at most", value=most)
        refused = CounterMetricFamily("spikingbrain_replica_refused", "Requests that were refused before the engine", labels=["code"])
        for code, count in self._replica.refused.items():
            refused.add_metric([code], count)
        yield refused
