/** A service that is away is named by the answer: clients and operators look in the right place. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { Environment } from "../../../workers/gateway/environment.ts";
import type { PoolEnvironment } from "../../../workers/pool/environment.ts";
import { PoolService } from "../../../workers/pool/index.ts";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import { SessionService } from "../../../workers/session/index.ts";
import { failure, json, requestWith } from "../support/gateway-client.ts";

const keyHeaders = { authorization: "Bearer sk-services" };
const chat = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 1 };
const sessionAway = { code: "session_unavailable", message: "The session service cannot be reached." };
const poolAway = { code: "pool_unavailable", message: "The pool of backends cannot be reached." };
const engineAway = { code: "engine_unavailable", message: "The engine cannot be reached." };
const secretCause = "Network connection lost: machine 7";

/** Every call of it breaks, as RPC does where the other side is gone. */
const broken: object = new Proxy({}, { get: () => () => Promise.reject(new Error(secretCause)) });
const noSession = { SESSION: broken as Environment["SESSION"] };
const noPool = { POOL: broken as Environment["POOL"] };

afterEach(() => {
  vi.restoreAllMocks();
});

function logged(): () => string {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  return () => log.mock.calls.flat().join("\n");
}

const routes: [method: string, path: string, body: object | undefined][] = [
  ["POST", "/v1/chat/completions", chat],
  ["POST", "/v1/completions", { model: "tiny", prompt: "hi", max_tokens: 1 }],
  ["GET", "/v1/sessions", undefined],
  ["POST", "/v1/sessions", { model: "tiny" }],
  ["GET", "/v1/sessions/sess_0", undefined],
  ["DELETE", "/v1/sessions/sess_0", undefined],
  ["GET", "/v1/sessions/sess_0/turns", undefined],
  ["GET", "/v1/shares/share_0", undefined],
  ["GET", "/v1/contexts/ctx_0/events", undefined],
  ["GET", "/v1/streams/stream_0", undefined],
  ["DELETE", "/v1/streams/stream_0", undefined],
  ["GET", "/v1/usage", undefined],
];

const init = (method: string, body: object | undefined): RequestInit =>
  body === undefined ? { method, headers: keyHeaders } : { ...json(body, keyHeaders), method };

test.each(routes)("%s %s names the session service that is away", async (method, path, body) => {
  const log = logged();
  const answer = await requestWith(noSession, path, init(method, body));
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("1");
  const error = await failure(answer);
  expect(error).toMatchObject(sessionAway);
  expect(JSON.stringify(error)).not.toContain("machine 7");
  expect(log()).toContain(`"event":"service_unreachable","service":"session"`);
});

type Objects = Partial<Record<"DIRECTORY_OBJECT" | "SESSION_OBJECT" | "STREAM_OBJECT" | "TENANT_OBJECT", object>>;

/** With other objects than the service's own. */
async function withObjects(objects: Objects, method: string, path: string, body?: object): Promise<Response> {
  const environment = { ...(env as unknown as SessionEnvironment), ...objects } as SessionEnvironment;
  const session = new SessionService(createExecutionContext(), environment);
  return await requestWith({ SESSION: session }, path, init(method, body));
}

const everyCall = (objects: keyof Objects, call: () => unknown): Objects => ({
  [objects]: { getByName: () => new Proxy({}, { get: () => call }) },
});
const ofObjects: [objects: keyof Objects, method: string, path: string, body?: object][] = [
  ["DIRECTORY_OBJECT", "GET", "/v1/sessions"],
  ["DIRECTORY_OBJECT", "GET", "/v1/shares"],
  ["DIRECTORY_OBJECT", "GET", `/v1/sessions/sess_${"0".repeat(48)}`],
  ["SESSION_OBJECT", "POST", "/v1/sessions", { model: "tiny" }],
  ["SESSION_OBJECT", "POST", "/v1/contexts", { model: "tiny" }],
  ["TENANT_OBJECT", "GET", "/v1/usage"],
];

test.each(ofObjects)("%s that is away is the session service, not the engine: %s %s", async (objects, method, path, body) => {
  const log = logged();
  const answer = await withObjects(
    everyCall(objects, () => Promise.reject(new Error(secretCause))),
    method,
    path,
    body,
  );
  expect([answer.status, await failure(answer)]).toMatchObject([503, sessionAway]);
  expect(log()).toContain(`"event":"service_unreachable","service":"session","cause":"Error: ${secretCause}`);
});

test.each(ofObjects)("a mistake of our own in %s is no service that is away: %s %s", async (objects, method, path, body) => {
  const log = logged();
  const answer = await withObjects(
    everyCall(objects, () => Promise.reject(new TypeError("x is not a function"))),
    method,
    path,
    body,
  );
  expect([answer.status, await failure(answer)]).toMatchObject([500, { code: "internal_error" }]);
  expect(log()).toContain("x is not a function");
});

test("a mistake of our own in the session Worker is told as one, and logged as one", async () => {
  const log = logged();
  const answer = await withObjects({ DIRECTORY_OBJECT: {} }, "GET", "/v1/sessions");
  expect([answer.status, await failure(answer)]).toMatchObject([500, { code: "internal_error" }]);
  expect(log()).toContain(`"event":"session_defect"`);
});

const noEngine = () => ({
  POOL: new PoolService(createExecutionContext(), { ...(env as unknown as PoolEnvironment), ENGINE: broken as PoolEnvironment["ENGINE"] }),
});
test.each([
  ["pool", "pool", poolAway, () => noPool],
  ["engine behind the pool", "engine", engineAway, noEngine],
])("/ready names the %s that is away", async (_name, service, away, variables) => {
  const log = logged();
  const answer = await requestWith(variables(), "/ready");
  expect([answer.status, await failure(answer)]).toMatchObject([503, away]);
  expect(log()).toContain(`"event":"service_unreachable","service":"${service}"`);
});
