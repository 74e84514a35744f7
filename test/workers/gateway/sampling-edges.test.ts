/** Every sampling field at the edges of its type, as a client sends it: an answer, or a 400 that names the field. */
import { beforeEach, expect, test } from "vitest";
import { failure, request } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { biases, edgeFields, neverAccepted, type EdgeField } from "../support/sampling-edges.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: bytesAsTokens("ok") }));

type Endpoint = "chat" | "completions";

/** Fields as JSON text, because numbers are told apart here that JavaScript does not. */
function send(endpoint: Endpoint, fields: string): Promise<Response> {
  const prompt = endpoint === "chat" ? '"messages":[{"role":"user","content":"hi"}]' : '"prompt":"hi"';
  const limit = fields.includes("max_") ? "" : '"max_tokens":2,';
  const path = endpoint === "chat" ? "/v1/chat/completions" : "/v1/completions";
  const headers = { "content-type": "application/json" };
  return request(path, { method: "POST", headers, body: `{"model":"tiny",${prompt},${limit}${fields}}` });
}

const endpointsOf = ({ only }: EdgeField): Endpoint[] => (only === undefined ? ["chat", "completions"] : [only]);
const each = edgeFields.flatMap((field) => endpointsOf(field).map((endpoint) => [field.name, endpoint, field] as const));

test.each(each)("%s of %s is answered, and the engine asked for the very value", async (name, endpoint, { accepted, beside }) => {
  for (const [json, asked] of accepted) {
    engine.use({ reply: bytesAsTokens("ok") });
    const response = await send(endpoint, [`"${name}":${json}`, ...(beside === undefined ? [] : [beside])].join(","));
    const text = await response.text();
    expect([response.status, text], `${name}: ${json}`).toEqual([200, text]);
    expect(engine.calls[0]?.sampling, `${name}: ${json}`).toMatchObject(asked ?? {});
  }
});

test.each(each)("%s of %s is refused by its name", async (name, endpoint, { refused, beside }) => {
  for (const json of [...refused, ...neverAccepted]) {
    const response = await send(endpoint, [`"${name}":${json}`, ...(beside === undefined ? [] : [beside])].join(","));
    expect(response.status, `${name}: ${json}`).toBe(400);
    const error = await failure(response);
    expect(error.param, `${name}: ${json}`).toBe(name);
    expect(error.message).toContain(`'${name}'`);
  }
  expect(engine.calls).toHaveLength(0);
});

test.each<Endpoint>(["chat", "completions"])("logit_bias of %s names the token at fault", async (endpoint) => {
  for (const [key, json, bias] of biases.accepted) {
    engine.use({ reply: bytesAsTokens("ok") });
    expect((await send(endpoint, `"logit_bias":{"${key}":${json}}`)).status, json).toBe(200);
    expect(engine.calls[0]?.sampling.logitBias).toEqual([[Number(key), bias]]);
  }
  engine.use({ reply: bytesAsTokens("ok") });
  for (const [key, json] of biases.refused) {
    const response = await send(endpoint, `"logit_bias":{"5":1,"${key}":${json}}`);
    expect(response.status, `${key}: ${json}`).toBe(400);
    expect((await failure(response)).param, `${key}: ${json}`).toBe(`logit_bias.${key}`);
  }
  for (const json of ["1", '"7"', "true", "[]", "[[7,1]]"]) {
    const response = await send(endpoint, `"logit_bias":${json}`);
    expect([response.status, (await failure(response)).param]).toEqual([400, "logit_bias"]);
  }
  expect(engine.calls).toHaveLength(0);
});

test("choices have seeds of their own, and the last of all seeds is followed by the first", async () => {
  expect((await send("chat", '"seed":18446744073709551614,"n":3')).status).toBe(200);
  expect(engine.calls.map(({ sampling }) => sampling.seed).sort()).toEqual([0, "18446744073709551614", "18446744073709551615"]);
});

test("only the seed of the request is read digit by digit", async () => {
  const response = await send("completions", '"seed":9007199254740993,"metadata":{"seed":"9007199254740993"}');
  expect(response.status).toBe(200);
  expect(engine.calls[0]?.sampling.seed).toBe("9007199254740993");
});
