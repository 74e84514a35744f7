/** Replicas that break before or in the middle of an answer, through the whole stack: the client sees one answer, the undisturbed one. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { isRefusal, Replicas, setPoolVariables, troubles, type Trouble } from "./troubled-replicas.ts";

const kinds: readonly (readonly [name: string, body: Json])[] = [
  ["greedy", { temperature: 0 }],
  ["by chance, with a seed", { temperature: 1.3, seed: 11, top_k: 40 }],
  ["with penalties", { temperature: 0.9, seed: 5, presence_penalty: 0.7, frequency_penalty: 0.4, repetition_penalty: 1.2 }],
  ["with log-probabilities", { temperature: 0, logprobs: true, top_logprobs: 2 }],
];

let pool: Replicas;
let lines: string[] = [];
const patience = { POOL_GAP_SECONDS: "0.3", POOL_FIRST_TOKEN_SECONDS: "0.5", POOL_CONNECT_SECONDS: "0.3" };
const noPatience = { POOL_GAP_SECONDS: undefined, POOL_FIRST_TOKEN_SECONDS: undefined, POOL_CONNECT_SECONDS: undefined };

beforeEach(() => {
  engine.use({});
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const eventsIn = (event: string) => lines.filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line) as Json);

interface Got {
  readonly chunks: readonly unknown[];
  readonly usage: unknown;
  readonly end: string | undefined;
  readonly backend: string | null;
}

const tokens = 12;

async function ask(body: Json): Promise<Response> {
  const messages = [{ role: "user", content: "Ships?" }];
  const common = { model: "tiny", messages, max_tokens: tokens, ignore_eos: true, stream: true, stream_options: { include_usage: true } };
  return await request("/v1/chat/completions", json({ ...common, ...body }));
}

/** Text and log-probabilities by choice, without what differs between any two answers. */
async function got(response: Response): Promise<Got> {
  const data = (await response.text())
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice("data: ".length));
  const chunks = data.slice(0, -1).map((line) => JSON.parse(line) as { choices: readonly unknown[]; usage?: unknown });
  return {
    chunks: chunks.filter(({ choices }) => choices.length > 0).map(({ choices }) => choices),
    usage: chunks.at(-1)?.usage,
    end: data.at(-1),
    backend: response.headers.get("x-spikingbrain-backend"),
  };
}

/** Where each trouble strikes: before the first token, early, late, at the last token, and when only the end is missing. */
const everywhere = [0, 1, 7, tokens - 1, tokens];
const casesAt = (positions: readonly number[]) =>
  troubles.flatMap((how): Trouble[] => (isRefusal(how) ? [{ how }] : positions.map((at) => ({ how, at }))));

describe.each(kinds)("an answer that is %s", (name, body) => {
  let whole: Got;
  beforeAll(async () => {
    engine.use({});
    whole = await got(await ask(body));
    expect(whole).toMatchObject({ end: "[DONE]", usage: { completion_tokens: tokens }, backend: "engine engine" });
    setPoolVariables(patience);
  });
  afterAll(async () => {
    setPoolVariables(noPatience);
    await pool.leave();
  });
  // Others each time: nothing is remembered of them.
  beforeEach(async () => {
    pool = new Replicas(3);
    await pool.join();
  });

  test.each(casesAt(name === "greedy" ? everywhere : [7]))("is the undisturbed one: $how at $at", async (trouble) => {
    pool.troubles = [trouble];
    const answer = await got(await ask(body));
    expect({ ...answer, backend: null }).toEqual({ ...whole, backend: null });
    expect(answer.backend).toMatch(/^vllm /);
    expect([pool.troubles, engine.calls.length]).toEqual([[], 0]);
    await vi.waitFor(() => expect(eventsIn("generation_ended")).toMatchObject([{ completionTokens: tokens, ending: "whole" }]));
    expect(eventsIn("tokens_metered")).toMatchObject([{ sampledTokens: tokens }]);
    expect(eventsIn("stream_ended")).toHaveLength(1);
    // Inside one process, who hangs and writes nothing learns of no reader that has left.
    await vi.waitFor(() => expect(pool.running).toBe(trouble.how === "hang" ? 1 : 0));
  });
});
