/** Queries and headers that say something else than what would be read, and text that is cut where a character is two UTF-16 units. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import type { DirectoryObject } from "../../../workers/session/sessions/directory-object.ts";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import { chat, complete, failure, json, post, request, requestWith } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient, type Session } from "../support/session-client.ts";
import { tenantOf } from "../support/stores.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

let alice = new SessionClient();
beforeEach(() => {
  engine.use({ reply: bytesAsTokens("ab") });
  alice = new SessionClient();
});

const send = (path: string, body: BodyInit, headers: Record<string, string>, method = "POST") =>
  request(path, { method, body, headers: { ...alice.headers, ...headers } });
const contextCount = async () => (await (await alice.call("GET", "/v1/contexts")).json<{ data: unknown[] }>()).data.length;

test.each([
  ["POST", "/v1/responses/resp_0/cancel"],
  ["DELETE", "/v1/sessions/sess_0"],
])("%s %s reads no body, and refuses one that says something", async (method, path) => {
  const status = async (body: string) => (await send(path, body, { "content-type": "application/json" }, method)).status;
  expect(await status('{"force":true}')).toBe(400);
  expect(await status("force")).toBe(400);
  for (const nothing of ["", "{}", " { }\n"]) expect(await status(nothing)).toBe(404);
});

describe("queries", () => {
  const path = "/v1/sessions";
  test.each<[string, string | null, string]>([
    [`${path}?limit=1&limit=2`, "limit", "'limit': must be given once; it is given more than once."],
    [`${path}?limit=1&li%6dit=1`, "limit", "'limit': must be given once; it is given more than once."],
    [`${path}?after=%ff`, "after", "'after': must be percent-encoded UTF-8."],
    [`${path}?%ed%a0%80=1`, null, "A query parameter's name must be percent-encoded UTF-8."],
    [`${path}?limit=`, "limit", `'limit': must be a whole number (got "").`],
    [`${path}?limit=0`, "limit", "'limit': must be from 1 to 100 (got 0)."],
    [`${path}?limit=99999999999999999999`, "limit", "'limit': must be from 1 to 100 (got 100000000000000000000)."],
    [`${path}?__proto__=1`, "__proto__", "Unknown field: '__proto__'."],
    ["/v1/shares?after=share_0", "after", "'after': there is no such share to go on from."],
  ])("%s is refused by name", async (url, param, message) => {
    const response = await alice.call("GET", url);
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param, message });
  });

  const unread: readonly [string, string][] = [
    ...["/v1/models/tiny", "/v1/usage", "/v1/sessions/sess_0", "/v1/streams/a"].map((path): [string, string] => ["GET", path]),
    ...["/v1/messages", "/v1/chat/completions", "/v1/decisions", "/tokenize"].map((path): [string, string] => ["POST", path]),
    ...["/v1/sessions/sess_0", "/v1/responses/resp_0"].map((path): [string, string] => ["DELETE", path]),
    ["GET", "/v1/models"],
  ];
  test.each(unread)(
    "%s %s reads none, or not that one, and refuses it; what clients add by themselves is left aside",
    async (method, path) => {
      const refused = await alice.call(method, `${path}?verbose=1`);
      expect(refused.status).toBe(400);
      expect((await refused.json<{ error: { message: string } }>()).error.message).toBe("Unknown field: 'verbose'.");
      const added = await alice.call(method, `${path}?api-version=preview&beta=true`);
      expect(await added.text()).not.toContain("Unknown field");
    },
  );

  test("the list of models is whole, and hosts' probes ask as they like", async () => {
    expect((await request("/v1/models?limit=1000")).status).toBe(200);
    expect(await failure(await request("/v1/models?limit=1"))).toMatchObject({ param: "limit" });
    expect((await request("/health?now=1")).status).toBe(200);
  });

  test("of an upload: without 'offset', twice, or beside JSON, nothing is taken", async () => {
    const { id } = await alice.createContext();
    const put = (query: string) => send(`/v1/contexts/${id}/text${query}`, "abc", { "content-type": "text/plain" }, "PUT");
    expect(await failure(await put(""))).toMatchObject({ param: "offset", message: "'offset': must be a whole number." });
    expect(await failure(await put("?offset=0&offset=3"))).toMatchObject({ param: "offset" });
    expect((await alice.facts(id)).ingest?.received_bytes).toBe(0);
    const lost = await alice.call("POST", "/v1/contexts?name=Book", { model: "tiny" });
    expect(lost.status).toBe(400);
    expect(await failure(lost)).toMatchObject({ param: "name", code: "unknown_field" });
    expect(await contextCount()).toBe(1);
  });

  test("a name with any characters arrives as it was sent", async () => {
    const name = "a+b & c=d 你好 😀";
    const query = `model=tiny&name=${encodeURIComponent(name).replaceAll("%20", "+")}`;
    expect(await (await send(`/v1/contexts?${query}`, "abc", { "content-type": "text/plain" })).json()).toMatchObject({ name });
  });

  test("a list does not end where one of its sessions cannot be shown", async () => {
    const ids = [await alice.create(), await alice.create(), await alice.create()].map(({ id }) => id);
    const directory = (env as unknown as SessionEnvironment).DIRECTORY_OBJECT.getByName(await tenantOf(alice.key));
    const updated = Math.ceil(Date.now() / 1000) + 60;
    await runInDurableObject(directory, (object: DirectoryObject) => {
      for (const digit of "789") object.put({ id: `sess_${digit.repeat(48)}`, kind: "session", updated });
    });
    const found: string[] = [];
    for (let more = true; more && found.length <= ids.length;) {
      const after = found.length === 0 ? "" : `&after=${found.at(-1) ?? ""}`;
      const page = await (await alice.call("GET", `/v1/sessions?limit=1${after}`)).json<{ data: Session[]; has_more: boolean }>();
      found.push(...page.data.map(({ id }) => id));
      more = page.has_more;
    }
    expect(found.toSorted()).toEqual(ids.toSorted());
  });

  test("shares go on from one that is in the list, and are of a session that is there", async () => {
    const { id } = await alice.create();
    const made: string[] = [];
    for (let at = 0; at < 3; at++) made.push((await (await alice.call("POST", `/v1/sessions/${id}/share`, {})).json<Session>()).id);
    const list = async (query: string) => {
      const response = await alice.call("GET", `/v1/shares?${query}`);
      return { status: response.status, body: await response.json<{ data?: Session[] }>() };
    };
    const all = (await list("limit=100")).body.data?.map((share) => share.id) ?? [];
    expect(all.toSorted()).toEqual(made.toSorted());
    expect((await list(`after=${all[0] ?? ""}`)).body.data?.map((share) => share.id)).toEqual(all.slice(1));
    await alice.call("DELETE", `/v1/shares/${all[0] ?? ""}`);
    expect((await list(`after=${all[0] ?? ""}`)).status).toBe(400);
    const other = new SessionClient();
    for (const session of ["sess_0", (await other.create()).id])
      expect(await list(`session_id=${session}`)).toMatchObject({ status: 404, body: { error: { code: "session_not_found" } } });
    expect((await list(`session_id=${id}`)).body.data).toHaveLength(2);
  });
});

describe("what headers say of a body", () => {
  test.each([
    ["text/plain; charset=iso-8859-1", ""],
    ['text/plain;charset="UTF-16"', ""],
    ["text/plain", "gzip"],
    ["text/plain", "identity, br"],
    ["text/html", ""],
  ])("a document of type %s and encoding '%s' is refused and leaves nothing", async (type, encoding) => {
    const response = await send("/v1/contexts?model=tiny", "abc", { "content-type": type, "content-encoding": encoding });
    expect(response.status).toBe(415);
    expect((await failure(response)).message).toMatch(type === "text/html" ? "'text/plain'" : encoding === "" ? "UTF-8" : "Compressed");
    expect(await contextCount()).toBe(0);
  });

  test.each(["text/plain; charset=utf-8", 'TEXT/PLAIN; Charset="UTF-8"', "text/plain;charset=us-ascii"])("%s is read", async (type) => {
    expect((await send("/v1/contexts?model=tiny", "abc", { "content-type": type, "content-encoding": "Identity" })).status).toBe(201);
  });

  test("a compressed file is refused for that, and JSON in another encoding too", async () => {
    expect((await send("/v1/sessions/import", "SBSF", { "content-encoding": "gzip" })).status).toBe(415);
    const body = { model: "tiny", prompt: "é", max_tokens: 1 };
    const response = await request("/v1/completions", json(body, { "content-type": "application/json; charset=latin1" }));
    expect(response.status).toBe(415);
    expect((await failure(response)).message).toBe(`The JSON must be in UTF-8; 'Content-Type' says that it is in "latin1".`);
    expect((await request("/v1/completions", json(body, { "content-type": "application/json; charset=UTF-8" }))).status).toBe(200);
  });

  test("a link to share needs no key, not for its headers alone either", async () => {
    const variables = { API_KEYS: "sk-one" };
    for (const method of ["GET", "HEAD"]) expect((await requestWith(variables, "/v1/shares/share_0", { method })).status).toBe(404);
    expect((await requestWith(variables, "/v1/shares/share_0", { method: "DELETE" })).status).toBe(401);
  });
});

describe("text that is cut is whole characters", () => {
  /** For every parity of where it is cut. */
  const long = ["😀".repeat(100), `a${"😀".repeat(100)}`];

  test.each(long)("a field's and a model's name in an error: %s", async (name) => {
    const answers = [
      await chat({ [name]: 1 }),
      await complete({ logit_bias: { [name]: 1 } }),
      await alice.call("POST", "/v1/sessions", { model: "m", [name]: 1 }),
    ];
    answers.push(
      await complete({ model: name }),
      await post("/tokenize", { model: name, prompt: "a" }),
      await alice.call("GET", `/v1/sessions?${name}=1`),
    );
    for (const answer of answers) {
      const text = await answer.text();
      expect(text).toContain("😀");
      expect(text).not.toMatch(/\\ud[89a-f]/i);
    }
  });

  test.each([499, 500])("the beginning of a document, after %i letters", async (letters) => {
    const text = `${"a".repeat(letters)}😀${"b".repeat(20)}`;
    const { id } = await (await send("/v1/contexts?model=tiny", text, { "content-type": "text/plain" })).json<Session>();
    await expect.poll(async () => (await alice.facts(id)).ingest?.stage, { timeout: 20_000 }).toBe("ready");
    const session = await (await alice.call("POST", "/v1/sessions", { model: "tiny", from: { context_id: id } })).json<Session>();
    const turns = await (await alice.call("GET", `/v1/sessions/${session.id}/turns`)).text();
    expect(turns).not.toMatch(/\\ud[89a-f]/i);
    const shown = letters === 499 ? `${"a".repeat(499)}😀` : "a".repeat(500);
    expect(turns).toContain(`"${shown} … (${String(text.length)} characters)"`);
  });

  test("a byte that begins no character is no half of one", async () => {
    const response = await send("/v1/contexts?model=tiny", Uint8Array.of(0x61, 0xff), { "content-type": "text/plain" });
    expect((await failure(response)).message).toBe("The text is not UTF-8 in the bytes from 0 on.");
  });
});
