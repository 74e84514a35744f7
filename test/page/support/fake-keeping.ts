/** What the fake server keeps: sessions, documents, shares, files, and streams that can be read again. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FakeApi } from "./fake-api.ts";
import { appendText, followContext } from "./fake-contexts.ts";
import { readBody } from "./fake-http.ts";
import { factsOf, refused, type FakeMessage, type FakeResponse, type FakeSession, type FakeSessions } from "./fake-sessions.ts";
import { FakeStream, type StreamReply } from "./fake-stream.ts";

export interface KeptRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly key: string;
}

/** Null where the answer has been written already. */
export async function answerKept(api: FakeApi, kept: KeptRequest): Promise<FakeResponse | null> {
  const { request, response, url, key } = kept;
  const path = url.pathname.split("/").slice(2);
  const [resource, id, verb] = path;
  if (resource === "streams") return streamAgain(api, kept, id ?? "");
  const context = resource === "contexts" && id !== undefined ? api.sessions.find(key, id, "context") : null;
  if (context !== null && verb === "text") return appendText(context, request, url, api.contexts);
  if (context !== null && verb === "events") {
    await followContext(context, response, api.contexts);
    return null;
  }
  const content = await readBody(request);
  if (!api.keepsSessions) return refused(404, "not_found", "No such route.");
  if (verb === "export") {
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(`sealed with ${content}`);
    return null;
  }
  if (id === "import") return importFile(api.sessions, content, request, key);
  const method = request.method ?? "GET";
  const body = content === "" ? {} : (JSON.parse(content) as Record<string, unknown>);
  api.calls.push({ method, path: url.pathname, body });
  const known = api.sessions.answer(method, path, url.searchParams, body, key);
  if (known === null) api.unknownPaths.push(url.pathname);
  return known ?? refused(404, "not_found", "No such route.");
}

/** A file opens with the passphrase it says. */
function importFile(sessions: FakeSessions, content: string, request: IncomingMessage, key: string): FakeResponse {
  const passphrase = decodeURIComponent(String(request.headers["x-spikingbrain-passphrase"] ?? ""));
  if (content !== `sealed with ${JSON.stringify(passphrase === "" ? {} : { passphrase })}`)
    return refused(400, "snapshot_sealed", "The passphrase does not open this file.");
  const session = sessions.create(key, "session", "Imported");
  const messages = [
    { role: "user", content: "Was it kept?" },
    { role: "assistant", content: "All of it." },
  ];
  session.turns.push({ number: 1, messages, finish: "stop" });
  return { status: 201, body: factsOf(session) };
}

async function streamAgain({ streams }: FakeApi, { request, response }: KeptRequest, id: string): Promise<FakeResponse | null> {
  const found = streams.get(id);
  if (found === undefined) return refused(404, "stream_not_found", "No such stream.");
  if (request.method === "DELETE") {
    found.stop();
    return { status: 204 };
  }
  const after = Number(String(request.headers["last-event-id"] ?? "").split(".")[1] ?? 0);
  response.writeHead(200, { "content-type": "text/event-stream", "x-spikingbrain-stream": id });
  await found.pipe(response, after);
  return null;
}

interface SurvivingAnswer {
  readonly response: ServerResponse;
  readonly reply: StreamReply;
  readonly messages: readonly FakeMessage[];
  readonly session: FakeSession | null;
}

/** An answer that runs on when its reader leaves. */
export async function answerSurviving(api: FakeApi, { response, reply, messages, session }: SurvivingAnswer): Promise<void> {
  const begun = new FakeStream(`edge00-${api.streams.size + 1}`);
  api.streams.set(begun.id, begun);
  const run = begun.run(reply);
  const taker = session === null ? null : api.sessions.take(session, begun, messages, run);
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "x-spikingbrain-stream": begun.id,
    "x-spikingbrain-cache": reply.cache ?? 'miss; tokens=0; reason="nothing kept"',
    ...(taker === null ? {} : { "x-spikingbrain-session": taker.id }),
  });
  await begun.pipe(response, 0, reply.cutAfter);
}
