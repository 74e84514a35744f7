/** Replicas that break, lie or attack: each ends in one clear failure that another replica may mend, and the connection is let go. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest } from "../../../../workers/contracts/engine.ts";
import { mostEventCharacters } from "../../../../workers/pool/backends/server-events.ts";
import { errorOf } from "../../../contract/replica/error-of.ts";
import { replicaAddress, replicaKey, type ReplicaScript } from "../../../contract/replica/scripted-replica.ts";
import { changing, got, type Chunk, type Kind } from "./servers.ts";

type Case = readonly [name: string, script: ReplicaScript, message: RegExp, changes?: Partial<GenerateRequest>];

const kinds: readonly Kind[] = ["vllm", "openai"];
const answers = (answer: () => Response): ReplicaScript => ({ answers: answer });
const stream = (pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void) =>
  answers(
    () =>
      new Response(new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 }), { headers: { "content-type": "text/event-stream" } }),
  );
const bytes = (text: string) => new TextEncoder().encode(text);
/** Of every event that has a choice. */
const choices = (change: (choice: Chunk["choices"][number]) => object) =>
  changing((chunk) => ({ ...chunk, choices: chunk.choices.map((choice) => ({ ...choice, ...change(choice) })) }));
const usage = (change: object) => changing((chunk) => ({ ...chunk, usage: chunk.usage === null ? null : { ...chunk.usage, ...change } }));
const scored = { topLogprobs: 2 };

const heads: readonly Case[] = [
  ["a web page", answers(() => new Response("<html>welcome</html>", { headers: { "content-type": "text/html" } })), /its type/],
  ["JSON in a stream's place", answers(() => Response.json({ choices: [] })), /its type/],
  ["no type at all", answers(() => new Response(bytes("x"))), /its type/],
  ["a redirect", answers(() => new Response(null, { status: 307, headers: { location: "http://169.254.169.254/" } })), /a redirect/],
  [
    "what is compressed",
    answers(
      () =>
        new Response(bytes("x"), { encodeBody: "manual", headers: { "content-type": "text/event-stream", "content-encoding": "gzip" } }),
    ),
    /compressed/,
  ],
  ["a status without a meaning", answers(() => new Response(null, { status: 204 })), /its type/],
];

const bodies: readonly Case[] = [
  ["an end at once", answers(() => new Response("", { headers: { "content-type": "text/event-stream" } })), /without a reason/],
  ["what is no JSON", changing(() => "{"), /not JSON/],
  ["a number that JSON has not", changing(() => '{"choices":[{"index":0,"token_ids":[1],"logprobs":NaN}]}'), /not JSON/],
  ["an event that is none of an answer", changing(() => ({ hello: 1 })), /not one of an answer/],
  ["null for an event", changing(() => "null"), /not one of an answer/],
  ["an error", changing(() => ({ error: { message: "out of memory", code: 500 } })), /it failed/],
  [
    "an event without an end",
    stream((controller) => controller.enqueue(bytes("data: x".padEnd(65_536, "x")))),
    new RegExp(String(mostEventCharacters)),
    { maxTokens: 60, topLogprobs: 20 },
  ],
  ["comments for ever", stream((controller) => controller.enqueue(bytes(`: ${"x".repeat(60_000)}\n\n`))), /more than \d+ bytes/],
  [
    "events without tokens for ever",
    stream((controller) => controller.enqueue(bytes('data: {"choices":[]}\n\n'.repeat(1000)))),
    /more than \d+ bytes/,
  ],
  ["bytes that are no text", stream((controller) => controller.enqueue(new Uint8Array(4096).fill(0xff))), new RegExp(`more than`)],
  ["a stream that breaks", stream((controller) => controller.error(new Error(replicaKey))), /broke off/],
  ["an id beyond the vocabulary", choices(() => ({ token_ids: [4_000_000_000] })), /outside the vocabulary/],
  ["an id below 0", choices(() => ({ token_ids: [-1] })), /outside the vocabulary/],
  ["half an id", choices(() => ({ token_ids: [1.5] })), /outside the vocabulary/],
  ["ids as text", choices(() => ({ token_ids: ["1"] })), /not one of an answer/],
  [
    "more tokens than asked for",
    choices(({ token_ids: ids }) => ({ token_ids: [...ids, ...ids], finish_reason: null })),
    /more than the 4/,
  ],
  ["two choices", changing((chunk) => ({ ...chunk, choices: [...chunk.choices, ...chunk.choices] })), /not one of an answer/],
  ["tokens after its end", choices(() => ({ finish_reason: "length" })), /follow its end/],
  ["an end too early", choices(() => ({ token_ids: [], finish_reason: null })), /without a reason/],
  ["an end by length that is too short", changing((chunk, at) => (at === 1 ? undefined : chunk)), /3 tokens of 4/],
  ["no end", choices(() => ({ finish_reason: null })), /without a reason/],
  ["an end by 'abort'", choices(({ finish_reason: reason }) => ({ finish_reason: reason === null ? null : "abort" })), /'abort'/],
  ["an end by markup", choices(({ finish_reason: reason }) => ({ finish_reason: reason === null ? null : "<b>" })), /no word/],
  [
    "a stop that was not asked for",
    choices(({ finish_reason: reason }) => ({ finish_reason: reason === null ? null : "stop" })),
    /not asked for/,
  ],
  ["a stop token too early", choices(() => ({ token_ids: [7] })), /too early/, { stopTokens: [7], minTokens: 4 }],
  ["the count of another prompt", usage({ prompt_tokens: 4 }), /a prompt of 4 tokens; 3 were sent/],
  ["more cached tokens than there are", usage({ prompt_tokens_details: { cached_tokens: 4 } }), /cached tokens/],
  ["no log-probabilities", choices(() => ({ logprobs: null })), /missing/, scored],
];

const ofVllm: readonly Case[] = [
  ["a log-probability that is null", scores({ logprob: null }), /not one of an answer/, scored],
  ["a log-probability above 0", scores({ logprob: 0.5 }), /of at most 0/, scored],
  ["a log-probability of another token", scores({ token_id: 3 }), /another token/, scored],
  ["too few alternatives", scores({ top_logprobs: [] }), /too few/, scored],
  ["one alternative twice", scores({ top_logprobs: Array(3).fill({ token_id: 1, logprob: -1 }) }), /twice/, scored],
  [
    "an alternative that is no token",
    scores({ top_logprobs: [9e9, 8e9, 7e9].map((id) => ({ token_id: id, logprob: -1 })) }),
    /outside/,
    scored,
  ],
];

const ofOpenAi: readonly Case[] = [
  ["another model's answer", changing((chunk) => ({ ...chunk, model: "gpt-x" })), /another model/],
  ["text without ids", choices(() => ({ token_ids: undefined })), /'return_token_ids'/],
  [
    "names of tokens without ids",
    choices(() => ({ logprobs: { tokens: ["a"], token_logprobs: [-1], top_logprobs: [{}] } })),
    /'return_tokens_as/,
    scored,
  ],
  [
    "a log-probability that is missing",
    choices(({ token_ids: [id = 0] }) => ({ logprobs: { tokens: [`token_id:${id}`], token_logprobs: [null] } })),
    /at most 0|too few/,
    scored,
  ],
];

function scores(change: object): ReplicaScript {
  return choices(({ logprobs }) => {
    const { content } = logprobs as { readonly content: readonly object[] };
    return { logprobs: { content: content.map((one) => ({ ...one, ...change })) } };
  });
}

const cases = kinds.flatMap((kind) =>
  [...heads, ...bodies, ...(kind === "vllm" ? ofVllm : ofOpenAi)].map(([name, script, message, changes]) => ({
    kind,
    name,
    script,
    message,
    changes,
  })),
);

test.each(cases)("$kind: $name", async ({ kind, script, message, changes = {} }) => {
  const { replica, events, failure } = await got(kind, script, changes);
  expect(failure).toMatchObject({ code: "engine_unavailable", status: 502, retryable: true });
  expect(failure?.message).toMatch(message);
  expect(events.filter(({ type }) => type === "error" || type === "finish")).toHaveLength(events.length === 0 ? 0 : 1);
  // One request, which nothing has followed, and whose end the replica hears of.
  expect(replica.seen).toHaveLength(1);
  expect([replica.running, JSON.stringify(events).includes(replicaKey)]).toEqual([0, false]);
});

describe.each(kinds)("%s", (kind) => {
  test.each<[status: number, code: string, headers: Record<string, string>, failure: object]>([
    [400, "invalid_request", {}, { code: "engine_unavailable", status: 502 }],
    [400, "context_length_exceeded", {}, { code: "context_length_exceeded", status: 400, param: "prompt" }],
    [401, "unauthorized", {}, { code: "engine_unavailable", status: 502 }],
    [404, "model_not_found", {}, { code: "engine_unavailable", status: 502 }],
    [408, "request_timeout", {}, { code: "engine_unavailable", status: 502 }],
    [413, "request_too_large", {}, { code: "engine_unavailable", status: 502 }],
    [429, "rate_limited", { "retry-after": "7" }, { code: "overloaded", status: 503, retryAfterSeconds: 7 }],
    [500, "x", {}, { code: "engine_unavailable", status: 502 }],
    [503, "replica_draining", { "retry-after": "9999" }, { code: "overloaded", status: 503, retryAfterSeconds: 60 }],
    [
      503,
      "too_many_requests",
      { "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" },
      { code: "overloaded", status: 503, retryAfterSeconds: 1 },
    ],
    [507, "store_full", {}, { code: "overloaded", status: 503 }],
  ])("a refusal by %d %s", async (status, code, headers, failure) => {
    const refusal = await got(
      kind,
      answers(() => errorOf(status, code, headers)),
    );
    expect(refusal.failure).toMatchObject({ ...failure, retryable: true });
    expect(refusal.failure?.message).not.toContain("said by the replica");
  });

  test("a replica that is not there", async () => {
    const { failure } = await got(kind, { answers: () => Promise.reject(new Error(`connect ECONNREFUSED ${replicaAddress}`)) });
    expect(failure).toMatchObject({ code: "engine_unavailable", status: 503, retryable: true });
    expect(JSON.stringify(failure)).not.toContain("replica.example");
  });

  test("a replica that sends no headers is let go", async () => {
    const never = { answers: () => new Promise<Response>(() => undefined) };
    const { failure, replica } = await got(kind, never, {}, { headerMilliseconds: 30 });
    expect(failure).toMatchObject({ code: "engine_unavailable", status: 503, retryable: true });
    expect(replica.seen[0]?.signal.aborted).toBe(true);
  });

  test("an error that is too long is not read to its end", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(10_000 + 0 * sent++).fill(0x20)),
    });
    const { failure } = await got(
      kind,
      answers(() => new Response(endless, { status: 500 })),
    );
    expect(failure).toMatchObject({ code: "engine_unavailable", status: 502 });
    expect(sent).toBeLessThan(20);
  });
});
