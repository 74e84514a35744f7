import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ContextScript } from "./fake-contexts.ts";
import { answerKept, answerSurviving } from "./fake-keeping.ts";
import { FakeSessions, model, refused } from "./fake-sessions.ts";
import { answer, keyOf, readBody, sendJson } from "./fake-http.ts";
import { writeStream } from "./fake-plain-stream.ts";
import type { FakeStream } from "./fake-stream.ts";
import { readStatic } from "./static-files.ts";

/** What the fake server does with one chat request. */
export type Reply =
  | {
      readonly kind: "stream";
      readonly deltas: readonly string[];
      readonly intervalMs?: number;
      /** What the stream waits for before its last text, so that a test can look at the middle of an answer for as long as it likes. */
      readonly gate?: Promise<unknown>;
      /** `hang` keeps the stream open for ever, `cut` ends it without [DONE], `reset` breaks the connection. */
      readonly ending?: "done" | "cut" | "reset" | "hang" | { readonly error: object };
      readonly finishReason?: "stop" | "length";
      readonly usage?: {
        readonly prompt_tokens: number;
        readonly completion_tokens: number;
        readonly spikes?: object;
        readonly state?: object;
      };
      /** What each text's chunk says of the spikes so far. */
      readonly spikes?: readonly object[];
      /** What each text's chunk says of the state. */
      readonly states?: readonly object[];
      /** What a chunk without text says, before each text, of where the answer runs from there on. */
      readonly placements?: readonly (object | undefined)[];
      /** What chunks without text say of the state while the prompt is read. */
      readonly reading?: readonly object[];
      /** What the stream waits for between reading and its first text. */
      readonly readGate?: Promise<unknown>;
      /** Whether it runs on when its reader leaves, and can be read again; always so in a session. */
      readonly resumable?: boolean;
      /** Breaks the first connection of one that can be read again after so many events. */
      readonly cutAfter?: number;
      /** What the answer says of what was remembered. */
      readonly cache?: string;
    }
  | { readonly kind: "error"; readonly status: number; readonly body: object | string; readonly headers?: Record<string, string> }
  /** Says nothing at all. */
  | { readonly kind: "silence" };

export interface ChatBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly [field: string]: unknown;
}

/** A request to anything but chat, with the key that it came with. */
export interface ApiCall {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

export interface FakeApi {
  readonly url: string;
  /** Bodies of the chat requests so far. */
  readonly requests: ChatBody[];
  /** The same, byte for byte. */
  readonly rawRequests: string[];
  readonly calls: ApiCall[];
  /** Keys that requests have brought. */
  readonly keys: Set<string>;
  /** The only key that is served; null serves all. */
  onlyKey: string | null;
  /** Whether the server keeps sessions at all. */
  keepsSessions: boolean;
  readonly sessions: FakeSessions;
  readonly streams: Map<string, FakeStream>;
  readonly contexts: ContextScript;
  /** Chat requests that the client closed before their answer was whole. */
  aborts: number;
  contextLength: number;
  /** What the model's card says besides. */
  card: object;
  /** Cards of models beside the first. */
  otherModels: readonly { readonly id: string; readonly [field: string]: unknown }[];
  /** Replies to the next chat requests, in order; without any, a short answer. */
  readonly replies: Reply[];
  /** Paths asked for that nobody serves. */
  readonly unknownPaths: string[];
  reset(): void;
  close(): Promise<void>;
}

export { model };
const defaultReply: Reply = { kind: "stream", deltas: ["Hello", ", ", "world", "."] };

/** A scripted API with the built page in front of it: it answers what a test says, not what a model would. */
export async function startFakeApi(directory: string): Promise<FakeApi> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const api: FakeApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    rawRequests: [],
    aborts: 0,
    contextLength: 2048,
    card: {},
    otherModels: [],
    replies: [],
    unknownPaths: [],
    calls: [],
    keys: new Set(),
    onlyKey: null,
    keepsSessions: false,
    sessions: new FakeSessions(),
    streams: new Map(),
    contexts: { cutAfterChunks: 0, readGate: null, offsets: [] },
    reset() {
      for (const list of [api.requests, api.rawRequests, api.replies, api.unknownPaths, api.calls, api.contexts.offsets]) list.length = 0;
      for (const stream of api.streams.values()) stream.stop();
      for (const kept of [api.sessions, api.streams, api.keys]) kept.clear();
      Object.assign(api, { onlyKey: null, keepsSessions: false });
      Object.assign(api.contexts, { cutAfterChunks: 0, readGate: null });
      api.aborts = 0;
      api.contextLength = 2048;
      api.card = {};
      api.otherModels = [];
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", api.url);
    const { pathname } = url;
    const key = keyOf(request);
    if (pathname.startsWith("/v1/")) {
      api.keys.add(key);
      if (api.onlyKey !== null && key !== api.onlyKey) {
        sendJson(response, 401, { error: { message: "Missing or incorrect API key.", code: "invalid_api_key" } });
        return;
      }
    }
    if (/^\/v1\/(sessions|contexts|shares|streams)\b/.test(pathname)) {
      const kept = await answerKept(api, { request, response, url, key });
      if (kept !== null) answer(response, kept);
      return;
    }
    if (pathname === "/v1/chat/completions") return chat(request, response);
    if (pathname === "/v1/models") {
      const first = { id: model, object: "model", max_model_len: api.contextLength, ...api.card };
      sendJson(response, 200, { object: "list", data: [first, ...api.otherModels] });
      return;
    }
    if (pathname === "/tokenize") {
      const { messages } = JSON.parse(await readBody(request)) as ChatBody;
      const count = messages.reduce((sum, message) => sum + 4 + message.content.split(/\s+/).length, 0);
      sendJson(response, 200, { count, max_model_len: api.contextLength, tokens: [] });
      return;
    }
    const file = await readStatic(directory, pathname);
    if (file === null) {
      api.unknownPaths.push(pathname);
      sendJson(response, 404, { error: { message: `no such path ${pathname}` } });
      return;
    }
    response.writeHead(200, file.headers).end(file.content);
  }

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await readBody(request);
    const body = JSON.parse(raw) as ChatBody;
    api.rawRequests.push(raw);
    api.requests.push(body);
    const { session_id } = body;
    const session = typeof session_id === "string" ? api.sessions.find(keyOf(request), session_id) : null;
    if (session_id !== undefined && session === null) {
      answer(response, refused(404, "session_not_found", "No such session."));
      return;
    }
    if (session !== null && session.turns.length > 0 && body.messages.some(({ role }) => role === "assistant")) {
      answer(response, refused(400, "invalid_request", "'messages': only what is new is sent to a session."));
      return;
    }
    const reply = api.replies.shift() ?? defaultReply;
    if (reply.kind === "stream" && (session !== null || reply.resumable === true))
      return answerSurviving(api, { response, reply, messages: body.messages, session });
    response.on("close", () => {
      if (!response.writableFinished) api.aborts += 1;
    });
    if (reply.kind === "silence") return;
    if (reply.kind === "stream") return writeStream(response, reply);
    if (typeof reply.body === "string") response.writeHead(reply.status, reply.headers).end(reply.body);
    else sendJson(response, reply.status, reply.body, reply.headers);
  }

  return api;
}
