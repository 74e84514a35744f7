/** Models that only replicas have, names that mean others, and models that answer in the place of another, as clients see them. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { ModelCard, ModelIndex, ModelIndexEntry } from "../../../workers/contracts/model-files.ts";
import { PoolService } from "../../../workers/pool/index.ts";
import { availabilityOf, modelsOf } from "../../../workers/pool/models.ts";
import type { PoolSnapshot } from "../../../workers/pool/replica.ts";
import { scriptedFailure, type BackendScript } from "../support/toy-backend.ts";
import {
  chatChunks,
  contentOf,
  failure,
  json,
  readToEnd,
  request,
  requestWith,
  type Json,
  type Variables,
} from "../support/gateway-client.ts";
import { assets, engine } from "../support/gateway-worker.ts";
import { bytesAsTokens, plainManifest, pooledCard, swappedManifest, tinyManifest, versionOf } from "../support/tiny-tokenizer.ts";

/** Before the first request: an isolate reads the index once. */
const { models } = assets["/models.json"] as ModelIndex;
const added: ModelIndexEntry[] = [
  { id: "pooled", path: "/pooled/", tokenizer: "/tiny/tokenizer.json" },
  { id: "unprepared", path: "/unprepared/", tokenizer: null },
  { id: "unfetched", path: "/unfetched/", tokenizer: null },
];
assets["/models.json"] = { models: [...models, ...added] };
assets["/pooled/manifest.json"] = pooledCard;
assets["/unprepared/manifest.json"] = { ...pooledCard, id: "unprepared", tokenizerSha256: "6".repeat(64) } satisfies ModelCard;
// One that this machine could run: its file, which has its tokenizer, is not here.
assets["/unfetched/manifest.json"] = {
  ...pooledCard,
  ...{ id: "unfetched", sha256: "5".repeat(64), parameters: 7, runsOn: ["engine", "pool"] },
} satisfies ModelCard;

const own = [versionOf(tinyManifest), versionOf(swappedManifest), versionOf(plainManifest)];
const version = (digit: string) => ({ id: "pooled", digest: digit.repeat(64), tokenizerDigest: pooledCard.tokenizerSha256 });
const otherTokens = { ...version("a"), tokenizerDigest: "9".repeat(64) };
const key = { authorization: "Bearer sk-catalog" };
const reply = bytesAsTokens("abc");

interface Card {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly aliases: readonly string[];
  readonly state: object | null;
}

async function cards(variables: Variables = {}): Promise<ReadonlyMap<string, Card>> {
  const { data } = await (await requestWith(variables, "/v1/models")).json<{ data: readonly Card[] }>();
  return new Map(data.map((card) => [card.id, card]));
}

/** The pool without its memory of seconds: what a test scripts holds at once. */
async function snapshot(): Promise<PoolSnapshot> {
  const outcome = await engine.models();
  const facts = { name: "engine", node: null, kind: "engine", address: "", place: null, weight: 1, draining: false, heardAt: 0 } as const;
  const load = { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: true };
  return { takenAt: 0, replicas: [{ ...facts, models: outcome.ok ? outcome.value : [], load }] };
}
const taken = <T>(value: T): Outcome<T> => ({ ok: true, value });
vi.spyOn(PoolService.prototype, "models").mockImplementation(async () => taken(modelsOf(await snapshot())));
vi.spyOn(PoolService.prototype, "availability").mockImplementation(async (ids) => taken(availabilityOf(await snapshot(), ids)));
vi.spyOn(PoolService.prototype, "run").mockImplementation(async (request) => {
  const outcome = await engine.generate(request);
  return outcome.ok ? taken({ placed: { backend: "engine", kind: "engine", reasons: [] }, events: outcome.value }) : outcome;
});

/** What the gateway knows of the backends is up to seconds old; the list always asks. */
async function use(script: BackendScript): Promise<void> {
  engine.use({ reply, ...script });
  await cards();
}

const completeWith = (variables: Variables, body: Json) =>
  requestWith(variables, "/v1/completions", json({ prompt: "hi", temperature: 0, max_tokens: 9, ...body }, key));
const chatWith = (variables: Variables, body: Json) =>
  requestWith(variables, "/v1/chat/completions", json({ messages: [{ role: "user", content: "hi" }], temperature: 0, ...body }, key));
const servedBy = (response: Response) => response.headers.get("x-spikingbrain-model");

beforeEach(async () => {
  await use({});
});

describe("the list", () => {
  test("has every model, also those that nothing serves, each with what it lacks", async () => {
    const found = await cards();
    expect([...found.keys()]).toEqual(["tiny", "swapped", "plain", "pooled", "unprepared", "unfetched"]);
    expect(found.get("tiny")).toMatchObject({ status: "ready", reason: null, served_by: ["engine"], runs_on: ["engine", "pool"] });
    expect(found.get("pooled")).toMatchObject({ status: "unavailable", served_by: [], runs_on: ["pool"], digest: null });
    expect(found.get("pooled")?.reason).toContain("no backend serves it. `npm run pool` starts replicas");
    expect(found.get("unprepared")?.reason).toContain("`npm run setup:model -- --all`");
    expect(found.get("unfetched")).toMatchObject({
      ...{ status: "unavailable", served_by: [], runs_on: ["engine", "pool"], digest: `sha256:${"5".repeat(64)}`, parameters: 7 },
      form: { summary: "linear attention in every layer" },
      reason: expect.stringContaining("`SPIKINGBRAIN_MODEL=unfetched npm start` serves it in place of") as string,
    });
  });

  test("tells what a state takes, of a model that nothing serves, as its form implies", async () => {
    // Two linear layers of 2 heads of 8 by 8, in f32.
    const state = { bytes: 2 * 2 * 8 * 8 * 4, constant: true, keys_and_values: "bf16", full_attention_bytes_per_token: 2 * 2 * 2 * 8 * 2 };
    expect((await cards()).get("pooled")?.state).toEqual(state);
  });

  test("has the digest that replicas serve, and says where theirs are others than this deployment's", async () => {
    await use({ models: [...own, version("a")] });
    expect((await cards()).get("pooled")).toMatchObject({ status: "ready", reason: null, digest: `sha256:${"a".repeat(64)}` });
    await use({ models: [...own.slice(1), { ...versionOf(tinyManifest), digest: "7".repeat(64) }, otherTokens] });
    const found = await cards();
    expect(found.get("tiny")).toMatchObject({ status: "unavailable", digest: `sha256:${"0".repeat(64)}` });
    expect(found.get("tiny")?.reason).toMatch(/other weights \(sha256 777777777777…\).*--weights-sha256 0{64}/);
    expect(found.get("pooled")?.reason).toMatch(/another tokenizer \(sha256 999999999999…\).*--tokenizer-sha256 2{64}/);
  });

  test("answers while the pool is away", async () => {
    const broken = new Proxy({}, { get: () => () => Promise.reject(new Error("gone")) }) as NonNullable<Variables["POOL"]>;
    const found = await cards({ POOL: broken });
    expect(found.size).toBe(6);
    expect(found.get("tiny")).toMatchObject({ status: "unavailable", reason: "The pool of backends cannot be reached.", state: null });
    expect(await (await requestWith({ POOL: broken }, "/v1/models/pooled")).json()).toMatchObject({ id: "pooled", status: "unavailable" });
  });
});

describe("a model without a backend", () => {
  test.each([
    ["pooled", /The model 'pooled' can't answer now: no backend serves it. `npm run pool`/],
    ["unprepared", /The model 'unprepared' can't answer now: its tokenizer is not prepared/],
    ["unfetched", /The model 'unfetched' can't answer now: its weights are not prepared here. `SPIKINGBRAIN_MODEL=unfetched npm start`/],
  ])("%s: 503 that says what to do", async (model, message) => {
    for (const path of ["/v1/completions", "/v1/sessions", "/v1/contexts"]) {
      const body = path === "/v1/completions" ? { model, prompt: "hi" } : { model };
      const answer = await request(path, json(body, key));
      expect([path, answer.status, answer.headers.get("retry-after")]).toEqual([path, 503, "30"]);
      expect(await failure(answer)).toMatchObject({
        code: "engine_unavailable",
        param: "model",
        message: expect.stringMatching(message) as string,
      });
    }
  });
});

describe("two versions of a model under one id", () => {
  const asked = () => engine.calls.at(-1)?.model.digest.slice(0, 1);

  test("new work begins with the first, and a session stays with its own as long as a backend has it", async () => {
    await use({ models: [version("a"), version("b")] });
    const made = await request("/v1/sessions", json({ model: "pooled" }, key));
    const { id } = await made.json<{ id: string }>();
    const turn = async () => {
      const answer = await chatWith({}, { model: "pooled", session_id: id, max_tokens: 3 });
      expect(await answer.json()).toMatchObject({ system_fingerprint: expect.stringContaining(`fp_${asked() ?? ""}`) as string });
      return asked();
    };
    expect(await turn()).toBe("a");
    await use({ models: [version("b"), version("a")] });
    expect(await turn()).toBe("a");
    await (await completeWith({}, { model: "pooled" })).text();
    expect(asked()).toBe("b");
    await use({ models: [version("b")] });
    const gone = await chatWith({}, { model: "pooled", session_id: id });
    expect([gone.status, gone.headers.get("retry-after"), (await failure(gone)).message]).toEqual([
      ...[503, "30"],
      "The model 'pooled' can't answer now: the session was made with weights (sha256 aaaaaaaaaaaa…) that no backend has now. It goes on when one has them again.",
    ]);
    await use({ models: [version("b"), version("a")] });
    expect(await turn()).toBe("a");
  });

  test("a version whose tokens are others is never asked", async () => {
    await use({ models: [otherTokens, version("b")] });
    await (await completeWith({}, { model: "pooled" })).text();
    expect(asked()).toBe("b");
  });
});

describe("aliases", () => {
  const aliases = { MODEL_ALIASES: "gpt-4o-mini:swapped, small:tiny" };

  test("answer by the model they mean, and the answer says so", async () => {
    const answer = await completeWith(aliases, { model: "gpt-4o-mini" });
    expect(servedBy(answer)).toBe(`swapped; asked="gpt-4o-mini"; why="alias"`);
    expect(await answer.json()).toMatchObject({ model: "swapped" });
    const plain = await completeWith(aliases, { model: "swapped" });
    expect(servedBy(plain)).toBe("swapped");
    await plain.text();
    expect((await cards(aliases)).get("tiny")?.aliases).toEqual(["small"]);
    expect(await (await requestWith(aliases, "/v1/models/gpt-4o-mini")).json()).toMatchObject({ id: "swapped", aliases: ["gpt-4o-mini"] });
  });

  test("name models wherever one is named", async () => {
    const made = await requestWith(aliases, "/v1/sessions", json({ model: "small" }, key));
    const { id, model } = await made.json<{ id: string; model: string }>();
    expect(model).toBe("tiny");
    const turn = await chatWith(aliases, { model: "small", session_id: id, max_tokens: 3 });
    expect([turn.status, servedBy(turn)]).toEqual([200, `tiny; asked="small"; why="alias"`]);
    await turn.text();
    expect(await (await requestWith(aliases, "/v1/contexts", json({ model: "small" }, key))).json()).toMatchObject({ model: "tiny" });
    const tokens = async (name: string) =>
      (await (await requestWith(aliases, "/tokenize", json({ model: name, prompt: "aB" }))).json<{ tokens: number[] }>()).tokens;
    expect(await tokens("gpt-4o-mini")).toEqual(await tokens("swapped"));
    expect(await tokens("gpt-4o-mini")).not.toEqual(await tokens("tiny"));
  });

  test("a stream that is read again says it again", async () => {
    const answer = await chatWith(aliases, { model: "small", stream: true });
    const stream = answer.headers.get("x-spikingbrain-stream") ?? "";
    await answer.text();
    const again = await requestWith(aliases, `/v1/streams/${stream}`, { headers: key });
    expect(servedBy(again)).toBe(`tiny; asked="small"; why="alias"`);
    expect(contentOf(await chatChunks(again))).toBe("abc");
  });

  test("an unknown name is refused with all that there are", async () => {
    const answer = await completeWith(aliases, { model: "gpt-5" });
    expect([answer.status, (await failure(answer)).message]).toEqual([
      404,
      "The model 'gpt-5' does not exist. Served here: 'tiny', 'swapped', 'plain', 'pooled', 'unprepared', 'unfetched', 'gpt-4o-mini', 'small'.",
    ]);
  });

  test.each([
    ["a pair without a model", "gpt-4o-mini", "any", /MODEL_ALIASES must be pairs, each NAME:MODEL.*it is "gpt-4o-mini"/],
    ["a model that is not there", "mini:huge", "mini", /MODEL_ALIASES must name models of this deployment \(tiny, .*\); it is "huge"/],
    ["a name that is a model's id", "tiny:swapped", "tiny", /MODEL_ALIASES must give names that are no model's id; it is "tiny"/],
  ])("%s is the operator's to put right", async (_name, value, model, message) => {
    const answer = await completeWith({ MODEL_ALIASES: value }, { model });
    expect(answer.status).toBe(500);
    expect(await failure(answer)).toMatchObject({ code: "configuration_invalid", message: expect.stringMatching(message) as string });
  });
});

describe("fallback", () => {
  const away = { ...scriptedFailure, code: "engine_unavailable", status: 503, message: "No replica." } as const;

  test("is tried in its order, and the answer says which model it is of", async () => {
    const answer = await completeWith({}, { model: "pooled", fallback: ["unprepared", "swapped", "tiny"] });
    expect(servedBy(answer)).toBe(`swapped; asked="pooled"; why="fallback"`);
    expect(await answer.json()).toMatchObject({ model: "swapped", choices: [{ text: "ABC" }] });
  });

  test("of a model that a backend refuses, before the first token, in streams too", async () => {
    engine.use({ reply, refuse: { ...away, retryable: false }, refuseCall: 0 });
    const answer = await chatWith({}, { model: "tiny", fallback: ["swapped"], stream: true });
    expect([answer.status, servedBy(answer)]).toEqual([200, `swapped; asked="tiny"; why="fallback"`]);
    expect(contentOf(await chatChunks(answer))).toBe("ABC");
  });

  test("never after the first token", async () => {
    engine.use({ reply, breakAt: { token: 1, how: "error" } });
    const answer = await chatWith({}, { model: "tiny", fallback: ["swapped"], stream: true });
    const { text } = await readToEnd(answer);
    expect(servedBy(answer)).toBe("tiny");
    expect(text).not.toContain('"model":"swapped"');
    expect(engine.calls.every(({ model }) => model.id === "tiny")).toBe(true);
  });

  test("is of no use where the request itself is wrong", async () => {
    const answer = await completeWith({}, { model: "tiny", fallback: ["swapped"], prompt: [999_999] });
    expect([answer.status, (await failure(answer)).param]).toEqual([400, "prompt"]);
    expect(engine.calls).toEqual([]);
  });

  test("a refusal tells what became of all of them", async () => {
    engine.use({ refuse: away });
    const answer = await completeWith({}, { model: "pooled", fallback: ["tiny", "swapped"] });
    expect(answer.status).toBe(503);
    expect((await failure(answer)).message).toMatch(
      /^The model 'pooled' can't answer now: .*Nor could .* 'tiny': No replica. 'swapped': No replica.$/,
    );
  });

  test("a deployment's applies to requests that say nothing, and to no session", async () => {
    const fallbacks = { MODEL_FALLBACKS: "pooled:swapped, tiny:swapped", MODEL_ALIASES: "large:pooled" };
    const answer = await completeWith(fallbacks, { model: "large" });
    expect(servedBy(answer)).toBe(`swapped; asked="large"; why="alias, fallback"`);
    await answer.text();
    expect((await completeWith(fallbacks, { model: "pooled", fallback: [] })).status).toBe(503);
    const { id } = await (await request("/v1/sessions", json({ model: "tiny" }, key))).json<{ id: string }>();
    engine.use({ refuse: away });
    const turn = await chatWith(fallbacks, { model: "tiny", session_id: id });
    expect([turn.status, await failure(turn)]).toMatchObject([503, { message: "No replica." }]);
  });

  test.each<[name: string, body: Json, status: number, param: string, message: RegExp]>([
    ["a model that is not there", { fallback: ["swapped", "huge"] }, 404, "fallback[1]", /'huge' does not exist/],
    ["a model named twice", { fallback: ["swapped", "swapped"] }, 400, "fallback[1]", /must be a model that is not named before it/],
    ["the model itself", { fallback: ["tiny"] }, 400, "fallback[0]", /must be a model that is not named before it \(got "tiny"\)/],
    ["too many", { fallback: Array.from({ length: 9 }, () => "tiny") }, 400, "fallback", /<=8 items/],
    ["no list", { fallback: "tiny" }, 400, "fallback", /expected array/],
    ["a session", { fallback: ["swapped"], session_id: "sess_1" }, 400, "fallback", /must be empty in a session, which never/],
  ])("%s is refused by name", async (_name, body, status, param, message) => {
    const answer = await chatWith({}, { model: "tiny", ...body });
    expect(answer.status).toBe(status);
    expect(await failure(answer)).toMatchObject({ param, message: expect.stringMatching(message) as string });
  });

  test("a deployment's that names no model is the operator's to put right", async () => {
    const answer = await completeWith({ MODEL_FALLBACKS: "tiny:huge" }, { model: "tiny" });
    expect(await failure(answer)).toMatchObject({
      code: "configuration_invalid",
      message: expect.stringMatching(/MODEL_FALLBACKS must name models of this deployment .*it is "huge"/) as string,
    });
  });
});
