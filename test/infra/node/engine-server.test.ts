/** The engine beside the Workers of `spikingbrain serve`, as they reach it: only with the start's secret, and no longer than somebody reads. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { continued, encodeFront, paths, secretHeader } from "../../../infra/node/serve/wire.ts";
import { startEngineServer, type EngineServer } from "../../../infra/node/serve/engine-server.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { greedyParameters, type EngineLoad, type GenerateRequest } from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";
import { describeModel } from "../../../workers/engine/described-model.ts";
import { loadGolden, opened, relaxedPackage } from "../../wasm/packages.ts";
import { saved } from "../../wasm/state-files.ts";

const secret = "a secret of this start";
const version = { id: "tiny", digest: "1".repeat(64), tokenizerDigest: "2".repeat(64) };
const prompt = Uint32Array.from({ length: 40 }, (_, at) => (at * 7) % 59);
const engine = loadGolden(relaxedPackage, "alternating-q4_0", { kvType: "int8", memoryLimitBytes: 2 ** 26 });
const onDefect = vi.fn();
let server: EngineServer;

beforeEach(async () => {
  const form = { layers: [], window: null, keptTokens: 0, learnedSinks: 0, salientTokens: null, kvHeads: 2, headDim: 12 };
  const model = describeModel(engine, { id: version.id, sha256: version.digest, tokenizerSha256: version.tokenizerDigest, form }, 1_000);
  server = await startEngineServer(model, { secret, onDefect });
});

afterEach(async () => {
  await server.close();
  expect(onDefect).not.toHaveBeenCalled();
});

const post = (
  path: string,
  body: Uint8Array<ArrayBuffer> | ReadableStream | null = null,
  given = secret,
  signal: AbortSignal | null = null,
) => fetch(`${server.address}${path}`, { method: "POST", headers: { [secretHeader]: given }, body, signal, duplex: "half" });

const load = async () => ((await (await post(paths.load)).json()) as { readonly value: EngineLoad }).value;

const request = (more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  ...greedyParameters,
  model: version,
  requestId: "test",
  prompt,
  maxTokens: 6,
  ...more,
});

async function tokensOf(response: Response): Promise<number[]> {
  const tokens: number[] = [];
  for await (const event of decodeEvents(response.body as ReadableStream<Uint8Array>)) if (event.type === "token") tokens.push(event.id);
  return tokens;
}

it("answers nobody without the secret", async () => {
  for (const path of Object.values(paths)) expect((await post(path, null, "another one that is lo")).status, path).toBe(403);
  expect((await post("/else")).status).toBe(404);
});

it("goes on from a state that follows the request, with the tokens of the whole text", async () => {
  const whole = await tokensOf(await post(paths.generate, encodeFront(request())));
  const sequence = opened(engine, [...prompt.subarray(0, 32)]);
  engine.step(Uint32Array.of(sequence, 32));
  const file = saved(engine, sequence);
  engine.close(sequence);
  const state = { open: () => Promise.reject(new Error("opened")), tokens: () => Promise.reject(new Error("asked")) };
  const front = encodeFront(request({ prompt: prompt.subarray(32), resume: { tokens: 32, state, seen: new Uint32Array(0) } }));
  const body = continued(front, new Blob([file.slice()]).stream().getReader());
  expect(await tokensOf(await post(paths.generate, body))).toEqual(whole);
  expect(whole).toHaveLength(6);
});

it("says why it refuses, and takes no other thing for a request", async () => {
  const refused = (await (await post(paths.generate, encodeFront(request({ maxTokens: 1_000_000 })))).json()) as Outcome<null>;
  expect(refused).toMatchObject({ ok: false, failure: { status: 400 } });
  const broken = (await (await post(paths.generate, Uint8Array.of(200, 0, 0, 0, 1))).json()) as Outcome<null>;
  expect(broken.ok).toBe(false);
});

it("stops computing where the reader has gone", async () => {
  const leaving = new AbortController();
  const response = await post(paths.generate, encodeFront(request({ maxTokens: 900 })), secret, leaving.signal);
  await response.body?.getReader().read();
  expect((await load()).running).toBe(1);
  leaving.abort();
  await expect.poll(load).toMatchObject({ running: 0, waiting: 0 });
  const { generatedTokens } = await load();
  expect(generatedTokens).toBeLessThan(900);
});
