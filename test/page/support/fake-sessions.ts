import type { FakeStream } from "./fake-stream.ts";

export interface FakeMessage {
  readonly role: string;
  readonly content: string;
}

interface FakeTurn {
  readonly number: number;
  readonly messages: readonly FakeMessage[];
  readonly finish: string;
}

export interface FakeSession {
  readonly id: string;
  readonly kind: "session" | "context";
  readonly key: string;
  readonly model: string;
  name: string;
  turns: FakeTurn[];
  parent: { readonly session_id: string; readonly turn: number } | null;
  running: FakeStream | null;
  updated: number;
  /** Of a context. */
  ingest: { stage: string; received_bytes: number; tokens: number; read_tokens: number; error?: object } | null;
  text: string;
}

export interface FakeResponse {
  readonly status: number;
  readonly body?: object;
}

export const model = "spikingbrain-135m";
const stateBytes = 13_400_000;

/** The server's sessions and shares, of all keys. */
export class FakeSessions {
  readonly all = new Map<string, FakeSession>();
  readonly shares = new Map<string, { readonly session: FakeSession; readonly turns: FakeTurn[]; readonly expires: number }>();
  #created = 0;

  clear(): void {
    this.all.clear();
    this.shares.clear();
    this.#created = 0;
  }

  create(key: string, kind: FakeSession["kind"], name = "", of = model): FakeSession {
    this.#created += 1;
    const id = `${kind === "context" ? "ctx" : "sess"}_${this.#created}`;
    const updated = 1_800_000_000 + this.#created;
    const session: FakeSession = {
      id,
      kind,
      key,
      model: of,
      name,
      turns: [],
      parent: null,
      running: null,
      updated,
      ingest: null,
      text: "",
    };
    this.all.set(id, session);
    return session;
  }

  find(key: string, id: string, kind: FakeSession["kind"] = "session"): FakeSession | null {
    const session = this.all.get(id);
    return session?.key === key && session.kind === kind ? session : null;
  }

  fork(session: FakeSession, turn = session.turns.length): FakeSession {
    const fork = this.create(session.key, "session", session.name, session.model);
    fork.turns = session.turns.slice(0, turn);
    fork.parent = { session_id: session.id, turn };
    return fork;
  }

  /** The session takes the turn once the stream has ended; a busy one leaves it to a fork. */
  take(session: FakeSession, stream: FakeStream, messages: readonly FakeMessage[], run: Promise<void>): FakeSession {
    const taker = session.running === null ? session : this.fork(session);
    taker.running = stream;
    void run.then(() => {
      taker.running = null;
      const number = taker.turns.length + 1;
      taker.turns.push({ number, messages: [...messages, { role: "assistant", content: stream.text }], finish: stream.finish });
    });
    return taker;
  }

  /** Everything of `/v1/sessions` and `/v1/shares` but files; null where there is no such route. */
  answer(method: string, path: readonly string[], query: URLSearchParams, body: Record<string, unknown>, key: string): FakeResponse | null {
    const [resource, id, verb] = path;
    if (resource === "shares") return this.#share(method, id ?? "", key);
    const kind = resource === "contexts" ? "context" : "session";
    if (id === undefined) return method === "POST" ? this.#create(body, key, kind) : this.#list(kind, query, key);
    const session = this.find(key, id, kind);
    if (session === null) return refused(404, `${kind}_not_found`, `There is no ${kind} '${id}'.`);
    if (verb === undefined) return this.#one(method, session, body);
    if (verb === "turns") return { status: 200, body: { object: "list", data: session.turns, has_more: false } };
    if (verb === "rewind") {
      if (session.running !== null) return refused(409, "conflict", "A turn is running.");
      if (Number(body["turn"]) > session.turns.length) return refused(400, "invalid_request", "'turn': must be a turn that there is.");
      session.turns = session.turns.slice(0, Number(body["turn"]));
      return { status: 200, body: factsOf(session) };
    }
    if (verb === "fork") return { status: 201, body: factsOf(this.fork(session, Number(body["turn"]))) };
    if (verb !== "share") return null;
    const share = `share_${this.shares.size + 1}`;
    const expires = Math.floor(Date.now() / 1000) + Number(body["expires_in"]);
    this.shares.set(share, { session, turns: [...session.turns], expires });
    return { status: 201, body: { object: "share", id: share, expires } };
  }

  #create(body: Record<string, unknown>, key: string, kind: FakeSession["kind"]): FakeResponse {
    const from = (body["from"] ?? {}) as { readonly session_id?: string; readonly context_id?: string };
    const origin = this.all.get(from.context_id ?? from.session_id ?? "");
    const shared = this.shares.get(String(body["share"]));
    const text = (field: string) => (typeof body[field] === "string" ? body[field] : undefined);
    const session = this.create(key, kind, text("name"), text("model"));
    if (shared !== undefined) session.turns = [...shared.turns];
    if (origin !== undefined) session.parent = { session_id: origin.id, turn: 0 };
    if (kind === "context") session.ingest = { stage: "uploading", received_bytes: 0, tokens: 0, read_tokens: 0 };
    return { status: 201, body: factsOf(session) };
  }

  #list(kind: FakeSession["kind"], query: URLSearchParams, key: string): FakeResponse {
    const own = [...this.all.values()].filter((session) => session.key === key && session.kind === kind).reverse();
    const start = own.findIndex(({ id }) => id === query.get("after")) + 1;
    const page = own.slice(start, start + Number(query.get("limit")));
    return { status: 200, body: { object: "list", data: page.map(factsOf), has_more: start + page.length < own.length } };
  }

  #one(method: string, session: FakeSession, body: Record<string, unknown>): FakeResponse {
    if (method === "DELETE") this.all.delete(session.id);
    if (method === "PATCH") session.name = String(body["name"]);
    return method === "DELETE" ? { status: 204 } : { status: 200, body: factsOf(session) };
  }

  #share(method: string, id: string, key: string): FakeResponse {
    const share = this.shares.get(id);
    if (share === undefined || (method === "DELETE" && share.session.key !== key)) return refused(404, "share_not_found", "No such share.");
    if (method === "DELETE") this.shares.delete(id);
    const { session, turns, expires } = share;
    const shown = { object: "shared_session", name: session.name, model: model, tokens: 60, state_bytes: stateBytes, expires, turns };
    return method === "DELETE" ? { status: 204 } : { status: 200, body: shown };
  }
}

export function factsOf({ id, kind, model: of, name, turns, parent, running, updated, ingest }: FakeSession): object {
  const tokens = ingest?.tokens ?? turns.length * 30;
  const sizes = { tokens, turns: turns.length, state_bytes: stateBytes, bytes: stateBytes + tokens * 4, tier: "hot" };
  const times = { created: updated, updated, expires: updated + 2_592_000 };
  return { id, object: "session", kind, name, model: of, ...times, ...sizes, parent, running: running?.id ?? null, ingest };
}

export function refused(status: number, code: string, message: string): FakeResponse {
  return { status, body: { error: { message, type: "invalid_request_error", code, param: null } } };
}
