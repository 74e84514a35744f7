/** Begins a request at one backend: with its key, within the time that it has to take it, watched from then on. */
import { waitUntil } from "cloudflare:workers";
import type { Outcome } from "../contracts/outcome.ts";
import type { GenerateRequest } from "../contracts/engine.ts";
import type { PlacedStream } from "../contracts/pool.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { within } from "../waiting/within.ts";
import type { BackendCall, Network, ReplicaBackend } from "./backends/contract.ts";
import { notReached } from "./backends/failures.ts";
import { OpenAiBackend } from "./backends/openai.ts";
import { VllmBackend } from "./backends/vllm.ts";
import { WasmBackend } from "./backends/wasm.ts";
import { isVersion } from "./eligible.ts";
import type { PoolEnvironment } from "./environment.ts";
import { tooSlow } from "./failures.ts";
import { outcomeOf, type Attempt } from "./health.ts";
import { credentialsOf } from "./registry/replica-keys.ts";
import type { Replica } from "./replica.ts";
import type { AttemptLimits } from "./settings.ts";
import { watch } from "./watch.ts";
import { withoutStates } from "./without-states.ts";

export type Begun = PlacedStream;

export interface BeginOptions {
  readonly replica: Replica;
  readonly reasons: readonly string[];
  /** Whether this backend gets the request without its states. */
  readonly bare: boolean;
  readonly request: GenerateRequest;
  readonly attempt: Attempt;
  readonly limits: AttemptLimits;
}

/** The attempt has ended where this ends in a failure. */
export async function begin(environment: PoolEnvironment, options: BeginOptions): Promise<Outcome<Begun>> {
  const { replica, reasons, bare } = options;
  const attempt = lasting(options.attempt);
  const { name, kind } = replica;
  const outcome = await opened(environment, { ...options, attempt }).catch((cause: unknown) => {
    logLine("error", "pool_defect", { backend: name, cause: describeCause(cause) });
    return { ok: false, failure: notReached() } as const;
  });
  if (outcome.ok) {
    const { prompt, resume } = options.request;
    // The engine's stream passes by unseen: what it took counts as done, and its load says how much it has.
    if (kind === "engine") attempt.end("success");
    const reread = bare && resume !== undefined ? { reread: resume.tokens + prompt.length } : {};
    return { ok: true, value: { placed: { backend: name, kind, reasons }, events: outcome.value, ...reread } };
  }
  const { failure } = outcome;
  // The engine refuses at once, and knows itself when it can again: nothing is won by not asking it.
  attempt.end(kind === "engine" ? "neither" : outcomeOf(failure));
  logLine("info", "backend_failed", { backend: name, kind, code: failure.code, message: failure.message });
  return outcome;
}

/** As long as it has no end, the runtime keeps the call that began it: a reader that leaves is heard of, and the attempt counts no more. */
function lasting(attempt: Attempt): Attempt {
  const ended = Promise.withResolvers<undefined>();
  waitUntil(ended.promise);
  return {
    worked: () => attempt.worked(),
    end: (outcome) => {
      attempt.end(outcome);
      ended.resolve(undefined);
    },
  };
}

async function opened(environment: PoolEnvironment, options: BeginOptions): Promise<Outcome<ReadableStream<Uint8Array>>> {
  const { replica, bare, request, attempt, limits } = options;
  const asked = bare ? await withoutStates(request) : ({ ok: true, value: request } as const);
  if (!asked.ok) return asked;
  const model = replica.models.find((one) => isVersion(one, request.model));
  if (model === undefined) throw new Error("a backend was planned that has not the model");
  const leave = new AbortController();
  const call: BackendCall = {
    ...{ replica, model, request: asked.value, signal: leave.signal },
    ...(replica.kind === "engine" ? { key: null, access: null } : await credentialsOf(environment, replica)),
    watch: watch({ limits, attempt }),
  };
  const answer = backendOf(environment, replica.kind).generate(call);
  // The engine may have to load its weights first; a prompt that is scored comes whole.
  if (replica.kind === "engine") return await answer;
  const patience = request.promptLogprobs === null ? limits.connect : limits.firstToken;
  return await within(answer, patience, () => {
    leave.abort();
    void answer.then((late) => (late.ok ? late.value.cancel() : undefined)).catch(() => undefined);
    return { ok: false, failure: tooSlow("did not take the request", patience) } as const;
  });
}

function backendOf(environment: PoolEnvironment, kind: Replica["kind"]): ReplicaBackend {
  if (kind === "engine") {
    return new WasmBackend(environment.ENGINE, (cause) => {
      logLine("error", "service_unreachable", { service: "engine", cause: describeCause(cause) });
    });
  }
  const { POOL_NETWORK: own } = environment;
  const network: Network = own === undefined ? (request) => fetch(request) : (request) => own.fetch(request);
  return kind === "vllm" ? new VllmBackend(network, { waitUntil }) : new OpenAiBackend(network);
}
