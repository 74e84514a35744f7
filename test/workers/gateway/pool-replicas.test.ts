/** `POST /v1/pool/replicas` as a node sends it: to the pool's registry and back, with no key, and with nothing of it in the log. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { env } from "cloudflare:workers";
import type { NodeMessage } from "../../../workers/contracts/pool.ts";
import { snapshotOf, type RegistryEnvironment } from "../../../workers/pool/registry/tell.ts";
import { failure, request, requestWith } from "../support/gateway-client.ts";
import { formIn, spyOnLog } from "../support/log-spy.ts";
import { body, path, signed } from "../pool/registry/support.ts";

let lines: string[] = [];
let sequence = 0;
beforeEach(() => {
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

function sent({ node, timestamp, nonce, signature, body: bytes }: NodeMessage, headers: Record<string, string> = {}): RequestInit {
  const said = { node, timestamp, nonce, signature };
  const own = Object.entries(said).flatMap(([name, value]) => (value === null ? [] : [[`x-spikingbrain-${name}`, value]]));
  return {
    method: "POST",
    headers: { "content-type": "application/json", ...(Object.fromEntries(own) as object), ...headers },
    body: bytes,
  };
}

const next = (said: object = {}) => signed({ sequence: ++sequence, ...said });
const names = async () => (await snapshotOf(env as unknown as RegistryEnvironment)).replicas.map(({ name }) => name);

test("registers, hears and removes a replica, whatever keys the API has", async () => {
  for (const keys of ["", "sk-one"]) {
    const answer = await requestWith({ API_KEYS: keys }, path, sent(next()));
    expect([answer.status, await answer.json()]).toEqual([200, { heartbeatSeconds: 5, expirySeconds: 20, status: "taken" }]);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await names()).toEqual(["seven-1"]);
  }
  expect((await requestWith({ API_KEYS: "sk-one" }, path, sent(next({ status: "gone" })))).status).toBe(200);
  expect(await names()).toEqual([]);
});

test("no key lets a message in that its node has not signed", async () => {
  const headers = { authorization: "Bearer sk-one" };
  const message = next();
  for (const altered of [
    { ...message, signature: null },
    { ...message, signature: "0".repeat(64) },
    { ...message, body: next().body },
  ]) {
    const answer = await requestWith({ API_KEYS: "sk-one" }, path, sent(altered, headers));
    expect(answer.status).toBe(401);
    expect(await failure(answer)).toMatchObject({ code: "invalid_node_credential", param: "x-spikingbrain-signature" });
  }
  expect(await names()).toEqual([]);
});

test("other methods and paths of the same place need a key, and there is nothing there", async () => {
  const tried = [
    ["GET", path, 405],
    ["PUT", path, 405],
    ["DELETE", path, 405],
    ["POST", `${path}/`, 404],
    ["POST", "/v1/pool", 404],
    ["POST", "/v1//pool/replicas", 404],
    ["POST", "/V1/pool/replicas", 404],
    ["POST", "/v1/pool/replicas/seven-1", 404],
  ] as const;
  for (const [method, other, status] of tried) {
    const init = { ...sent(next()), method, ...(method === "GET" ? { body: null } : {}) };
    expect([method, other, (await request(other, init)).status]).toEqual([method, other, status]);
    if (other.startsWith("/v1/pool"))
      expect([other, (await requestWith({ API_KEYS: "sk-one" }, other, init)).status]).toEqual([other, 401]);
  }
  expect(await names()).toEqual([]);
});

test("a body is bounded however it comes, and is JSON as it is", async () => {
  const large = new Uint8Array(65_537);
  expect(await failure(await request(path, sent({ ...next(), body: large })))).toMatchObject({ code: "payload_too_large" });
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(4_096)) });
  const streamed = await request(path, { ...sent(next()), body: endless });
  expect(await failure(streamed)).toMatchObject({
    code: "payload_too_large",
    message: "The request body may have at most 65536 bytes; it has more.",
  });
  for (const headers of [{ "content-type": "text/plain" }, { "content-encoding": "gzip" }])
    expect((await request(path, sent(next(), headers))).status).toBe(415);
  expect(await failure(await request(`${path}?name=x`, sent(next())))).toMatchObject({ code: "unknown_field", param: "name" });
  expect(await failure(await request(path, sent(next({ weight: -1 }))))).toMatchObject({ code: "invalid_request", param: "weight" });
  expect(await failure(await request(path, sent(next({ address: "http://169.254.169.254" }))))).toMatchObject({ param: "address" });
});

test("nothing of a message is in the log but who sent it and what became of it", async () => {
  const message = next();
  await request(path, sent(message));
  await request(path, sent(message));
  await request(path, sent(next({ weight: -1 })));
  expect(lines.filter((line) => line.includes('"event":"request"'))).toHaveLength(3);
  expect(lines.filter((line) => line.includes(`"route":"${path}"`))).toHaveLength(3);
  for (const secret of [message.signature ?? "", message.nonce ?? "", body.address])
    expect(lines.filter((line) => formIn(line, secret) !== undefined)).toEqual([]);
  await request(path, sent(next({ status: "gone" })));
});
