/** Replicas of `spikingbrain_vllm serve` (`gpu-backend/docs/vllm-replica.md`), with states in and out of them. */
import type { Outcome } from "../../contracts/outcome.ts";
import type { ResumeState } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { messageOf, stateRejected } from "../../contracts/request/failures.ts";
import { openState } from "../../contracts/request/open-state.ts";
import { release } from "../../contracts/release.ts";
import type { BackendCall, Network, ReplicaBackend } from "./contract.ts";
import { isStreamed } from "./http-answer.ts";
import { httpRefusalOf } from "./http-refusal.ts";
import { outgoing } from "./outgoing.ts";
import { ReplicaHttp, type HttpOptions } from "./replica-http.ts";
import type { ReadText } from "./replica-states.ts";
import { tenantOf } from "./tenant.ts";
import { VllmRun } from "./vllm-run.ts";

const allowedPaths = /^\/(?:inference\/v1\/generate|spikingbrain\/states(?:\/[A-Za-z0-9_-]{43})?)$/;

export class VllmBackend implements ReplicaBackend {
  readonly #network: Network;
  readonly #options: HttpOptions;

  constructor(network: Network, options: HttpOptions = {}) {
    this.#network = network;
    this.#options = options;
  }

  async generate(call: BackendCall): ReturnType<ReplicaBackend["generate"]> {
    const { request, signal, watch } = call;
    const refusal = httpRefusalOf(request, call.model);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const opened = request.resume === undefined ? undefined : await openText(request.resume);
    if (opened?.ok === false) return opened;
    const leaving = new AbortController();
    const http = new ReplicaHttp(this.#network, allowedPaths, call, this.#options);
    const run = new VllmRun(http, call, await tenantOf(request.share), AbortSignal.any([signal, leaving.signal]));
    const onEnd = () => {
      leaving.abort();
      const removed = run.leave();
      this.#options.waitUntil?.(removed);
    };
    try {
      // What takes its time before an answer begins is done within the stream, which gives signs of life.
      const goesThroughStates = opened !== undefined || (request.save?.at.length ?? 0) > 0 || !isStreamed(request);
      const events = goesThroughStates ? run.throughStates(opened?.value) : run.answer(await run.begin(request.prompt));
      return { ok: true, value: outgoing(events, { onEnd, endsWithState: request.save?.end === true, watch }) };
    } catch (cause) {
      onEnd();
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    }
  }
}

/** A state with the ids of what it has read, which the replica is sent beside it. */
async function openText(resume: ResumeState): Promise<Outcome<ReadText>> {
  const file = await openState(resume);
  if (!file.ok) return file;
  const ids = await idsOf(resume);
  if (ids.ok) return { ok: true, value: { ids: ids.value, file: file.value } };
  await file.value.cancel(ids.failure.message).catch(() => undefined);
  return ids;
}

async function idsOf({ state, tokens }: ResumeState): Promise<Outcome<Uint32Array>> {
  try {
    const outcome = await state.tokens();
    release(outcome);
    if (!outcome.ok) return { ok: false, failure: stateRejected(outcome.failure.message) };
    if (outcome.value.length === tokens) return outcome;
    return {
      ok: false,
      failure: stateRejected(`the state must have read ${String(tokens)} tokens; its text has ${String(outcome.value.length)}`),
    };
  } catch (cause) {
    return { ok: false, failure: stateRejected(`the tokens of the state's text could not be had: ${messageOf(cause)}`) };
  }
}
