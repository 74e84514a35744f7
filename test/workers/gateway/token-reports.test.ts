/** What SDKs send beside the common fields: speakers' names, biases by text, ids of tokens, log-probabilities of a prompt. */
import { beforeEach, expect, test } from "vitest";
import { chat, complete, payloads, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient } from "../support/session-client.ts";
import { bytesAsTokens, idOf } from "../support/tiny-tokenizer.ts";

const [hello, world] = [idOf("hello"), idOf("Ġworld")];
beforeEach(() => engine.use({ reply: [hello, world] }));

const promptOf = (call = 0): number[] => Array.from(engine.calls[call]?.prompt ?? []);

test("a speaker's name stands in front of what is said, and in a session's transcript under its name", async () => {
  const messages = [
    {
      role: "developer",
      content: [
        { type: "text", text: "Be" },
        { type: "text", text: "brief" },
      ],
    },
    { role: "user", name: "Ada", content: "hi" },
  ];
  await chat({ messages });
  const spoken = [
    { role: "system", content: "Be\nbrief" },
    { role: "user", content: "Ada: hi" },
  ];
  await chat({ messages: spoken });
  expect(promptOf(0)).toEqual(promptOf(1));

  const alice = new SessionClient();
  const { id } = await (await alice.call("POST", "/v1/sessions", { model: "tiny" })).json<{ id: string }>();
  await chatIn(alice, id, { messages: [{ role: "user", name: "Ada", content: "hi" }] });
  expect(promptOf(2).length).toBe(promptOf(0).length - "system\nBe\nbrief\n".length - 2);
  const turns = await (await alice.call("GET", `/v1/sessions/${id}/turns`)).json();
  expect(turns).toMatchObject({ data: [{ messages: [{ role: "user", name: "Ada", content: "hi" }, { role: "assistant" }] }] });
});

const chatIn = async (client: SessionClient, session: string, body: Json) =>
  await (await client.call("POST", "/v1/chat/completions", { model: "tiny", session_id: session, ...body })).json();

test("a bias is given to a token by its id or by its text", async () => {
  for (const send of [chat, complete]) await (await send({ logit_bias: { "7": 1, hello: -2, " world": 3 } })).json();
  const asked = [
    [7, 1],
    [hello, -2],
    [world, 3],
  ];
  expect(engine.calls.map(({ sampling }) => sampling.logitBias)).toEqual([asked, asked]);
});

test("return_token_ids: an answer says the ids of its tokens and of its prompt, whole and streamed", async () => {
  const prompt = [...bytesAsTokens("hi ")];
  const whole = await (await complete({ prompt: "hi ", return_token_ids: true, n: 2, temperature: 0 })).json();
  const told = { prompt_token_ids: prompt, token_ids: [hello, world], logprobs: null };
  expect(whole).toMatchObject({ choices: [told, told] });
  const chunks = await chunksOf(complete({ prompt: "hi ", return_token_ids: true, stream: true }));
  expect(chunks.map(({ choices: [choice] }) => choice?.prompt_token_ids)).toEqual([prompt, ...chunks.slice(1).map(() => undefined)]);
  expect(chunks.flatMap(({ choices: [choice] }) => choice?.token_ids ?? [])).toEqual([hello, world]);

  const answer = await (await chat({ return_token_ids: true, stop: " wor" })).json();
  expect(answer).toMatchObject({ prompt_token_ids: promptOf(3), choices: [{ token_ids: [hello], message: { content: "hello" } }] });
  const streamed = await chunksOf(chat({ return_token_ids: true, stream: true, n: 2 }));
  expect(streamed.filter((chunk) => chunk.prompt_token_ids !== undefined)).toMatchObject([{ prompt_token_ids: promptOf(4) }]);
  for (const index of [0, 1])
    expect(
      streamed.flatMap(({ choices }) => choices.filter((choice) => choice.index === index).flatMap((choice) => choice.token_ids ?? [])),
    ).toEqual([hello, world]);
  expect(await (await chat({})).text()).not.toContain("token_ids");
});

interface Chunk {
  readonly choices: readonly { readonly index: number; readonly token_ids?: number[]; readonly prompt_token_ids?: number[] }[];
  readonly prompt_token_ids?: number[];
}
const chunksOf = async (response: Promise<Response>): Promise<Chunk[]> =>
  (await payloads(await response)).slice(0, -1).map((line) => JSON.parse(line) as Chunk);

test("prompt_logprobs: every token of a prompt with its log-probability and the likeliest in its place", async () => {
  const echoed = await (await complete({ prompt: "é hi", echo: true, logprobs: 2, max_tokens: 0 })).json<Scored>();
  const expected = echoed.choices[0].logprobs.token_logprobs;
  const whole = await (await complete({ prompt: "é hi", prompt_logprobs: 2, max_tokens: 1 })).json<Scored>();
  const [{ prompt_logprobs: scored, text, logprobs }] = whole.choices;
  expect([text, logprobs, scored[0], scored.length]).toEqual(["hello", null, null, 5]);
  const ids = [...bytesAsTokens("é hi")];
  for (const [at, one] of scored.slice(1).entries()) {
    expect(one?.[String(ids[at + 1])]?.logprob).toBe(expected[at + 1]);
    const ranks = Object.values(one ?? {}).map(({ rank }) => rank);
    expect(ranks.filter((rank) => rank !== null).toSorted()).toEqual([1, 2]);
    expect(ranks.length).toBeLessThanOrEqual(3);
  }
  expect(scored.at(-1)?.[String(ids.at(-1))]?.decoded_token).toBe("i");

  // Both fields together: each says what it was asked for.
  const both = await (await complete({ prompt: "é hi", echo: true, logprobs: 2, prompt_logprobs: 0, max_tokens: 0 })).json<Scored>();
  expect(both.choices[0].logprobs).toEqual(echoed.choices[0].logprobs);
  expect(both.choices[0].prompt_logprobs.slice(1).map((one) => Object.keys(one ?? {}))).toEqual(ids.slice(1).map((id) => [String(id)]));

  const answer = await (await chat({ prompt_logprobs: 0, n: 2, max_tokens: 1 })).json<{ prompt_logprobs: readonly (object | null)[] }>();
  expect(answer.prompt_logprobs.map((one) => (one === null ? null : Number(Object.keys(one)[0])))).toEqual([null, ...promptOf(3).slice(1)]);
});

interface Scored {
  readonly choices: readonly [
    {
      readonly text: string;
      readonly logprobs: { readonly token_logprobs: (number | null)[] };
      readonly prompt_logprobs: (Record<string, { logprob: number; rank: number | null; decoded_token: string }> | null)[];
    },
  ];
}
