/** Asks a backend for tokens and reads everything it sends. */
import type { Outcome } from "../../workers/contracts/outcome.ts";
import { greedyParameters, type GenerateEvent, type GenerateRequest, type GenerationBackend } from "../../workers/contracts/engine.ts";
import { pause } from "../../workers/waiting/within.ts";

export interface Generated {
  readonly all: readonly GenerateEvent[];
  readonly tokens: number[];
  /** The terminal event. */
  readonly end: GenerateEvent | undefined;
}

/** A request that leaves open whose model is meant: {@link TestedBackend} names the backend's own. */
export type TestRequest = Omit<GenerateRequest, "model"> & Partial<Pick<GenerateRequest, "model">>;

/** A backend as these suites ask it. */
export interface TestedBackend extends Omit<GenerationBackend, "generate"> {
  generate(request: TestRequest): ReturnType<GenerationBackend["generate"]>;
}

export async function testedBackend(backend: GenerationBackend): Promise<TestedBackend> {
  const [first] = valueOf(await backend.models());
  if (first === undefined) throw new Error("the backend has no model");
  const { id, digest, tokenizerDigest } = first;
  return {
    models: () => backend.models(),
    ready: () => backend.ready(),
    load: () => backend.load(),
    generate: (request) => backend.generate({ model: { id, digest, tokenizerDigest }, ...request }),
  };
}

export const greedy = (prompt: readonly number[]): TestRequest => ({
  ...greedyParameters,
  requestId: "conformance",
  prompt: Uint32Array.from(prompt),
  maxTokens: 4,
});

export function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.failure.code}: ${outcome.failure.message}`);
  return outcome.value;
}

export async function openStream(backend: TestedBackend, request: TestRequest): Promise<ReadableStream<Uint8Array>> {
  return valueOf(await backend.generate(request));
}

/** Everything as it came: unlike `decodeEvents` it forgives nothing, so that a second terminal event would show. */
export async function collect(stream: ReadableStream<Uint8Array>): Promise<GenerateEvent[]> {
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const events: GenerateEvent[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new Error("the last line is not complete");
    const line = new TextDecoder().decode(bytes.subarray(at, end));
    at = end + 1;
    if (line === "") continue;
    const event = JSON.parse(line) as GenerateEvent & { readonly length?: number };
    if (event.type !== "state") events.push(event);
    else {
      const { type, tokens, length = 0 } = event;
      if (at + length > bytes.length) throw new Error("the last chunk of a state is not complete");
      events.push({ type, tokens, bytes: bytes.slice(at, (at += length)) });
    }
  }
  return events;
}

/** Once three looks agree: a backend of several parts hears a little later of what has become free in them. */
export async function settledFreeBytes(backend: Pick<GenerationBackend, "load">): Promise<number> {
  let [last, looks] = [NaN, 0];
  while (looks < 3) {
    const { freeStateBytes } = await backend.load();
    looks = freeStateBytes === last ? looks + 1 : 1;
    last = freeStateBytes;
    await pause(50);
  }
  return last;
}

export async function generate(backend: TestedBackend, request: TestRequest): Promise<Generated> {
  const all = await collect(await openStream(backend, request));
  const end = all.find((event) => event.type === "finish" || event.type === "error");
  return { all, tokens: all.flatMap((event) => (event.type === "token" ? [event.id] : [])), end };
}
