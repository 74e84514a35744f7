#!/usr/bin/env bash
# A replica over several nodes with vLLM's own processes. Run on every node, with the same arguments as `python -m spikingbrain_vllm plan`:
#   NODE=0 HEAD=10.0.0.1 native.sh /models/SpikingBrain-76B-A12B --gpus 8x80GB --nodes 2 --tensor 4 --data 4 --expert-parallel
# NODE is this node's number, HEAD the address of node 0, which answers requests. With EDGE, NODE_FILE and ADDRESS that one makes itself known
# to an edge: its URL, the file with the node's credential, and the address at which the edge reaches it.
set -euo pipefail
: "${NODE:?must be the number of this node, from 0}" "${HEAD:?must be the address of node 0}"
export VLLM_PLUGINS=spikingbrain VLLM_USE_V2_MODEL_RUNNER=0 HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1
edge=""
if [ -n "${EDGE:-}" ]; then
  : "${NODE_FILE:?must be the file with the credential of the node, where EDGE is given}"
  : "${ADDRESS:?must be the address at which the edge reaches this replica, where EDGE is given}"
  edge=$(printf -- '--edge %q --node-file %q --address %q ' "$EDGE" "$NODE_FILE" "$ADDRESS")
fi
command=$(python -m spikingbrain_vllm plan "$@" --json | python -c 'import json, sys; print(json.load(sys.stdin)["commands"][int(sys.argv[1])])' "$NODE")
# Where the options of `serve` end; the other nodes have none.
command=${command/ -- / "$edge"-- }
# The plan's words are quoted for a shell, and name the head by this variable.
eval "exec $command"
