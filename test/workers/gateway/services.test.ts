/** A service that is away is named by the answer: clients and operators look in the right place. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { Environment } from "../../../workers/gateway/environment.ts";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import { SessionService } from "../../../workers/session/index.ts";
import { failure, json, requestWith } from "../support/gateway-client.ts";

const keyHeaders = { authorization: "Bearer sk-services" };
const chat = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 1 };
const sessionAway = { code: "session_unavailable", message: "The session service cannot be reached." };
const engineAway = { code: "engine_unavailable", message: "The engine cannot be reached." };
const secretCause = "Network connection lost: machine 7";

/** Every call of it breaks, as RPC does where the other side is gone. */
const broken: object = new Proxy({}, { get: () => () => Promise.reject(new Error(secretCause)) });
const noSession = { SESSION: broken as Environment["SESSION"] };
const noEngine = { ENGINE: broken as Environment["ENGINE"] };

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

test("an object of the session service that is away is not the engine either", async () => {
  logged();
  const objects = { getByName: () => broken } as unknown as SessionEnvironment["DIRECTORY_OBJECT"];
  const environment = { ...(env as unknown as SessionEnvironment), DIRECTORY_OBJECT: objects };
  const session = new SessionService(createExecutionContext(), environment);
  const answer = await requestWith({ SESSION: session }, "/v1/sessions", { headers: keyHeaders });
  expect([answer.status, await failure(answer)]).toMatchObject([503, sessionAway]);
});

test("/ready names the engine that is away", async () => {
  const log = logged();
  const answer = await requestWith(noEngine, "/ready");
  expect([answer.status, await failure(answer)]).toMatchObject([503, engineAway]);
  expect(log()).toContain(`"event":"service_unreachable","service":"engine"`);
});
