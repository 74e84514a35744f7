/** What goes over the wire for a request: every field of it, in a server's names, and nothing else. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest } from "../../../../workers/contracts/engine.ts";
import { greedySampling } from "../../../../workers/contracts/engine.ts";
import { VllmBackend } from "../../../../workers/pool/backends/vllm.ts";
import { callOf } from "../../../contract/replica/as-backend.ts";
import { accessToken, replicaAddress, replicaKey, ScriptedReplica, type Seen } from "../../../contract/replica/scripted-replica.ts";
import { askedFor, description, got, type Kind } from "./servers.ts";

const everything: Partial<GenerateRequest> = {
  requestId: "request-id-of-a-client",
  share: "5".repeat(64),
  maxTokens: 6,
  minTokens: 2,
  stopTokens: [7, 8, 7],
  topLogprobs: 3,
  sampling: {
    ...{ temperature: 0.5, topK: 4_000_000_000, topP: 0.9, minP: 0.1, repetitionPenalty: 1.1, presencePenalty: 0.2, frequencyPenalty: 0.3 },
    ...{
      logitBias: [
        [5, 1.5],
        [6, -2],
        [5, 1],
      ],
      seed: "18446744073709551615",
    },
  },
};
const chosen = {
  ...{ max_tokens: 6, min_tokens: 2, stop_token_ids: [7, 8], ignore_eos: true, temperature: 0.5, top_k: description.vocabularySize },
  ...{ top_p: 0.9, min_p: 0.1, repetition_penalty: 1.1, presence_penalty: 0.2, frequency_penalty: 0.3, logit_bias: { 5: 2.5, 6: -2 } },
};

/** The one request that the replica has seen. */
async function sent(kind: Kind, changes: Partial<GenerateRequest>) {
  const { replica } = await got(kind, {}, changes);
  expect(replica.seen).toHaveLength(1);
  const { url, headers, body } = replica.seen[0] as Seen;
  return { url, headers, body, fields: JSON.parse(body) as Record<string, unknown> };
}

describe("our replicas", () => {
  test("every field", async () => {
    const { url, fields, body } = await sent("vllm", everything);
    expect(url).toBe(`${replicaAddress}/inference/v1/generate`);
    expect(fields).toEqual({
      model: description.id,
      stream: true,
      stream_options: { include_usage: true },
      cache_salt: "5".repeat(64),
      token_ids: [10, 20, 30],
      // One alternative more: the sampled token takes a place among them.
      sampling_params: { ...chosen, logprobs: 4, detokenize: false, seed: -1 },
    });
    // All 64 bits, of which JSON's numbers would have lost some.
    expect(body).toMatch(/"seed":-1\}\}$/);
  });

  test("the least: no stop, no bias, no seed where none is drawn by, and a salt for all who have no share", async () => {
    const { fields } = await sent("vllm", { maxTokens: 0, stopTokens: [], sampling: { ...greedySampling, seed: 5 } });
    expect(fields["cache_salt"]).toBe("shared");
    const neutral = { top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 };
    expect(fields["sampling_params"]).toEqual({
      ...neutral,
      max_tokens: 1,
      min_tokens: 0,
      temperature: 0,
      ignore_eos: true,
      detokenize: false,
    });
  });

  test("of an answer that was cut off, how many tokens it has, where the replica counts them", async () => {
    const cutOff = { continued: 2, minTokens: 5, stopTokens: [7] };
    const model = { ...description, abilities: [...description.abilities, "continued"] } as const;
    const replica = new ScriptedReplica(model);
    await new VllmBackend(replica.network).generate(callOf(model, askedFor(cutOff)));
    expect(JSON.parse(replica.seen[0]?.body ?? "")).toMatchObject({ sampling_params: { continued: 2, min_tokens: 5, max_tokens: 4 } });
  });

  test("a prompt that is scored is asked for at once, because a stream has no scores", async () => {
    const { fields, headers } = await sent("vllm", { promptLogprobs: 2 });
    expect([fields["stream"], headers["accept"]]).toEqual([false, "application/json"]);
    expect(fields["sampling_params"]).toMatchObject({ prompt_logprobs: 2 });
  });
});

describe("servers that take token ids", () => {
  test("every field", async () => {
    const { url, fields } = await sent("openai", everything);
    expect(url).toBe(`${replicaAddress}/v1/completions`);
    expect(fields).toEqual({
      ...{ model: description.id, stream: true, stream_options: { include_usage: true }, prompt: [10, 20, 30], return_token_ids: true },
      ...{ ...chosen, logprobs: 3, return_tokens_as_token_ids: true, seed: -1 },
    });
  });

  test.each<[seed: number | string, digits: string]>([
    [0, "0"],
    [4_294_967_295, "4294967295"],
    ["9223372036854775807", "9223372036854775807"],
    ["9223372036854775808", "-9223372036854775808"],
  ])("the seed %s is sent as %s", async (seed, digits) => {
    const { body } = await sent("openai", { sampling: { ...greedySampling, temperature: 1, seed } });
    expect(body).toContain(`"seed":${digits}}`);
  });
});

describe.each<Kind>(["vllm", "openai"])("%s", (kind) => {
  test("headers are a fresh set, with the key in one of them and what lets it through the tunnel in two", async () => {
    const { headers } = await sent(kind, everything);
    expect(headers).toEqual({
      accept: "text/event-stream",
      "accept-encoding": "identity",
      authorization: `Bearer ${replicaKey}`,
      "cf-access-client-id": accessToken.id,
      "cf-access-client-secret": accessToken.secret,
      "content-type": "application/json",
    });
  });

  test("nothing of who asks is sent but the share", async () => {
    const { headers, body } = await sent(kind, everything);
    expect(body + JSON.stringify(headers)).not.toContain("request-id-of-a-client");
  });
});

test("a server without a key and with nothing before it is sent neither", async () => {
  const replica = new ScriptedReplica(description);
  await new VllmBackend(replica.network).generate({ ...callOf(description, askedFor()), key: null, access: null });
  expect(Object.keys(replica.seen[0]?.headers ?? {})).toEqual(["accept", "accept-encoding", "content-type"]);
});
