/** What the development server has beside the Workers is shut, for every method and host. */
import { request } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

/** `fetch` sets the Host header itself, and rewrites paths such as `//x`. */
async function ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stackUrl);
    // A connection of its own: one that is used again may be one that the server is closing.
    const outgoing = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.on("end", () => {
        resolve({ status: response.statusCode, body });
      });
    });
    outgoing.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode, body: "" });
    });
    outgoing.on("error", reject);
    outgoing.end(["POST", "PUT", "PATCH"].includes(method) ? "{}" : undefined);
  });
}

const explorers = ["/cdn-cgi/local/explorer", "/cdn-cgi/explorer"].flatMap((path) => [
  path,
  `${path}/`,
  `${path}/api`,
  `${path}/api/local/workers`,
  `${path}/api/workers/durable_objects/namespaces`,
  `${path}/api/storage/kv/namespaces`,
  `${path}/api/r2/buckets`,
  `${path}/api/d1/database`,
]);
const handlers = ["/cdn-cgi/local", "/cdn-cgi/handler", "/cdn-cgi/mf"].flatMap((path) => [
  `${path}/scheduled?cron=*+*+*+*+*`,
  `${path}/email?from=a@example.org&to=b@example.org`,
  `${path}/stream`,
  `${path}/imagedelivery`,
]);
const paths = [
  ...explorers,
  ...handlers,
  ...["/cdn-cgi/local/r2/public/spikingbrain-states/x", "/cdn-cgi/local/r2/s3", "/cdn-cgi/local/r2/s3/spikingbrain-states"],
  ...["/cdn-cgi/local/platform-proxy", "/cdn-cgi/local/observability", "/cdn-cgi/live-reload", "/cdn-cgi/trace", "/cdn-cgi/", "/cdn-cgi"],
  ...["/cdn-cgi/ProxyWorker/pause", "/cdn-cgi/ProxyWorker/play", "/cdn-cgi/InspectorProxyWorker/websocket"],
  ...["/__scheduled", "/__cf_local/stream", "/__cf_local/imagedelivery/x", "/__cf_local/imageupload/x"],
  ...["/json", "/json/list", "/json/version", "/core/error", "/core/do-storage", "/core/dev-registry"],
  ...["//cdn-cgi/local/explorer", "/x/../cdn-cgi/local/explorer", "/%63dn-cgi/local/explorer", "/cdn-cgi/local/%65xplorer"],
];

test.each(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])("no path of the development server answers %s", async (method) => {
  for (const path of paths) expect([path, (await ask(method, path)).status]).toEqual([path, 404]);
});

test("a WebSocket is not opened, and headers of the development server are not followed", async () => {
  const upgrade = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
  const reload = { ...upgrade, "sec-websocket-protocol": "WRANGLER_PROXYWORKER_LIVE_RELOAD_PROTOCOL" };
  expect((await ask("GET", "/cdn-cgi/live-reload", reload)).status).toBe(404);
  const ordinary = await ask("GET", "/health");
  for (const [name, value] of [
    ["MF-Route-Override", "spikingbrain-session"],
    ["MF-Original-URL", "http://127.0.0.1/cdn-cgi/local/scheduled"],
    ["MF-CF-Blob", "{"],
    ["MF-Proxy-Shared-Secret", "guess"],
    ["MF-Op", "GET"],
  ] as const)
    expect([name, await ask("GET", "/health", { [name]: value })]).toEqual([name, ordinary]);
});

test("a name that is not this machine's own is refused while keys are open: a web page can point its own name here", async () => {
  for (const host of ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "192.168.0.1"])
    for (const [method, path] of [
      ["GET", "/v1/models"],
      ["GET", "/v1/sessions"],
      ["POST", "/v1/sessions"],
      ["GET", "/"],
    ] as const) {
      const { status, body } = await ask(method, path, { host });
      expect([host, status, JSON.parse(body)]).toEqual([
        host,
        403,
        {
          error: {
            message: `Host: it must be 127.0.0.1, localhost or [::1] while any key is accepted (API_KEYS is not set); it is "${host.split(":")[0] ?? ""}".`,
            type: "invalid_request_error",
            param: null,
            code: "host_not_allowed",
          },
        },
      ]);
    }
  for (const host of ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8787", "LOCALHOST"]) {
    const { status, body } = await ask("GET", "/v1/models", { host });
    expect([host, status]).toEqual([host, 200]);
    expect((JSON.parse(body) as { readonly data: readonly object[] }).data[0]).toMatchObject({ id: modelId });
  }
});

/** Bytes as they are, which no client library sends, until the connection ends; `isLast`: the client then shuts its sending side. */
async function sendBytes(text: string, isLast = false): Promise<string> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stackUrl);
    let answer = "";
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () => {
      if (isLast) socket.end(text);
      else socket.write(text);
    });
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => (answer += part));
    socket.on("end", () => {
      socket.destroy();
      resolve(answer);
    });
    socket.on("error", reject);
  });
}

test.each([
  ["two hosts", "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"],
  ["a target that is no path", "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:8787\r\nConnection: close\r\n\r\n"],
])("%s, which make no URL, are refused", async (_name, text) => {
  const answer = await sendBytes(text);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain("The request's target and its Host header must make one URL; they do not.");
});

test.each([
  ["of no bytes", "Content-Length: 0\r\n\r\n", 200],
  ["with bytes", "Content-Length: 2\r\n\r\n{}", 400],
  ["in chunks", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400],
])("a GET whose body is one %s is no fault of the server's", async (_name, rest, status) => {
  const answer = await sendBytes(`GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${rest}`);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
  if (status === 400) expect(bodyOf(answer)).toMatchObject({ error: { message: "A GET request must have no body." } });
});

const question = JSON.stringify({ model: modelId, prompt: "a", max_tokens: 2 });
const postBeginning = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n";
const chunkOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** An answer without a length comes in chunks; this one is small enough for one. */
function bodyOf(answer: string): unknown {
  const [, body = ""] = answer.split("\r\n\r\n");
  return JSON.parse(body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1));
}

test.each([
  ["shorter than its length", `Content-Length: 500\r\n\r\n{}`, 2],
  ["as long as an answerable one, of a greater length", `Content-Length: 500\r\n\r\n${question}`, question.length],
  ["that ends within a chunk", `Transfer-Encoding: chunked\r\n\r\n5\r\n{}`, 2],
  ["whose chunk has no length", `Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`, 0],
  ["that is answerable and lacks its last chunk", `Transfer-Encoding: chunked\r\n\r\n${chunkOf(question)}`, question.length],
])("a body %s is the client's fault, and says so as every error does", async (_name, rest, bytes) => {
  const answer = await sendBytes(`${postBeginning}${rest}`, true);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(bodyOf(answer)).toMatchObject({
    error: { type: "invalid_request_error", code: "invalid_request", message: `The request body broke off after ${String(bytes)} bytes.` },
  });
});

test.each([
  ["of a given length", `Content-Length: ${String(question.length)}\r\n\r\n${question}`],
  ["in chunks", `Transfer-Encoding: chunked\r\n\r\n${chunkOf(question.slice(0, 9))}${chunkOf(question.slice(9))}0\r\n\r\n`],
])("a client that shuts its sending side after its body, %s, gets its answer", async (_name, rest) => {
  const answer = await sendBytes(`${postBeginning}${rest}`, true);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toContain('"completion_tokens":2');
});

test("a body that is too large and stops without an end is refused all the same", async () => {
  const answer = await sendBytes(`${postBeginning}Transfer-Encoding: chunked\r\n\r\n${chunkOf(" ".repeat(4_300_000))}`);
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(bodyOf(answer)).toMatchObject({ error: { code: "payload_too_large" } });
});

test("a WebSocket and CONNECT are refused, and the stack goes on", async () => {
  const refused = ask("GET", "/v1/models", {
    ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  });
  expect(await refused).toMatchObject({ status: 400, body: expect.stringContaining("'Upgrade': must be left out") as string });
  // The runtime refuses it before any Worker is asked.
  for (const target of ["example.org:443", "127.0.0.1:80", "/v1/models"])
    expect(await sendBytes(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 5\d\d /);
  expect((await ask("GET", "/health")).status).toBe(200);
});
