/** Requests that wait because every backend of their model is full, from the client's side: who waits too much is refused, who leaves waits no more. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelIndex } from "../../../workers/contracts/model-files.ts";
import { pause } from "../../../workers/waiting/within.ts";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { assets } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { pooledCard } from "../support/tiny-tokenizer.ts";
import { model, path, signed } from "./registry/support.ts";
import { setPoolVariables } from "./troubled-replicas.ts";

/** Before the first request: an isolate reads the index once. */
const { models } = assets["/models.json"] as ModelIndex;
assets["/models.json"] = { models: [...models, { id: "pooled", path: "/pooled/", tokenizer: "/tiny/tokenizer.json" }] };
assets["/pooled/manifest.json"] = pooledCard;

/** Of one key, as many as may wait: `waitQueueDefaults`. */
const mostOfShare = 64;
let sequence = 0;

/** One replica has the model, and as many requests as it takes. */
async function tell(said: Json): Promise<void> {
  const served = { ...model, id: "pooled", digest: "a".repeat(64), tokenizer_digest: pooledCard.tokenizerSha256 };
  const load = { running: 1, waiting: 0, most_requests: 1, most_running: 1, free_share: 1, loaded: true };
  const message = signed({ models: [served], load, sequence: ++sequence, ...said });
  const { node, timestamp, nonce, signature, body } = message;
  const headers = Object.entries({ node, timestamp, nonce, signature }).map(([name, value]) => [`x-spikingbrain-${name}`, value ?? ""]);
  const init = { method: "POST", headers: { "content-type": "application/json", ...(Object.fromEntries(headers) as object) }, body };
  expect((await request(path, init)).status).toBe(200);
}

let lines: string[] = [];
beforeAll(async () => {
  // Nobody here waits for so long.
  setPoolVariables({ POOL_QUEUE_SECONDS: "60" });
  await tell({});
});
afterAll(async () => {
  setPoolVariables({ POOL_QUEUE_SECONDS: undefined });
  await tell({ status: "gone" });
});
beforeEach(() => {
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const clients: AbortController[] = [];
function ask(key: string, body: Json = {}): Promise<Response | "left"> {
  const client = new AbortController();
  clients.push(client);
  const asked = json({ model: "pooled", messages: [{ role: "user", content: "hi" }], ...body }, { authorization: `Bearer ${key}` });
  return request("/v1/chat/completions", { ...asked, signal: client.signal }).catch(() => "left");
}
const leave = () => {
  for (const client of clients.splice(0)) client.abort();
};
const endings = () =>
  lines.filter((line) => line.includes('"event":"generation_ended"')).map((line) => (JSON.parse(line) as Json)["ending"]);
const stillWaits = (answer: Promise<unknown>) => Promise.race([answer, pause(300).then(() => "waits")]);

test.each([
  ["a stream", { stream: true }],
  ["a whole answer", {}],
])("%s is given up when its client leaves while it waits for room", async (_name, body) => {
  const answer = ask("sk-leaves", body);
  expect(await stillWaits(answer)).toBe("waits");
  leave();
  expect(await answer).toBe("left");
  await vi.waitFor(() => expect(endings()).toEqual(["cancelled"]));
});

test("one key fills its part of the queue and no more, and whoever leaves makes room in it", async () => {
  const waiting = Array.from({ length: mostOfShare }, () => ask("sk-many"));
  await vi.waitFor(async () => {
    const refused = await Promise.race([ask("sk-many"), pause(100)]);
    expect(refused).toMatchObject({ status: 429 });
  });
  const refused = (await ask("sk-many")) as Response;
  expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([429, expect.any(Number)]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await failure(refused)).toMatchObject({
    code: "overloaded",
    type: "rate_limit_error",
    message: `${String(mostOfShare)} of your requests wait for room, which is the limit.`,
  });
  // Another key's wait.
  const other = ask("sk-other");
  expect(await stillWaits(other)).toBe("waits");
  leave();
  expect(new Set(await Promise.all([...waiting, other]))).toEqual(new Set(["left"]));
  await vi.waitFor(() => expect(endings().filter((ending) => ending === "cancelled").length).toBeGreaterThan(mostOfShare));
  const again = ask("sk-many");
  expect(await stillWaits(again)).toBe("waits");
  leave();
  expect(await again).toBe("left");
});
