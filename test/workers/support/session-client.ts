/** A client of sessions, under a key of its own. The oracle is the whole conversation, sent without a key. */
import { failure, json, request, type ErrorAnswer, type Json } from "./gateway-client.ts";
import { plainLetters } from "./plain-letters.ts";

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Session {
  readonly id: string;
  readonly name: string;
  readonly tokens: number;
  readonly turns: number;
  readonly state_bytes: number;
  readonly bytes: number;
  readonly tier: string;
  readonly parent: { readonly session_id: string; readonly turn: number } | null;
  readonly running: string | null;
  readonly ingest: {
    readonly stage: string;
    readonly received_bytes: number;
    readonly tokens: number;
    readonly read_tokens: number;
    readonly error?: ErrorAnswer["error"];
  } | null;
}

export interface Said {
  readonly text: string;
  readonly prompt: number;
  readonly cached: number;
  /** The session that took the turn. */
  readonly session: string;
}

export const greedy: Json = { model: "tiny", temperature: 0, max_tokens: 10, ignore_eos: true, logit_bias: plainLetters };
export const user = (content: string): Message => ({ role: "user", content });
export const assistant = (content: string): Message => ({ role: "assistant", content });

export class SessionClient {
  readonly key: string;

  constructor(key = `sk-${crypto.randomUUID()}`) {
    this.key = key;
  }

  get headers(): Record<string, string> {
    return { authorization: `Bearer ${this.key}` };
  }

  call(method: string, path: string, body?: Json): Promise<Response> {
    return request(path, body === undefined ? { method, headers: this.headers } : { ...json(body, this.headers), method });
  }

  async create(body: Json = {}): Promise<Session> {
    return await this.#made(await this.call("POST", "/v1/sessions", { model: "tiny", ...body }));
  }

  async createContext(body: Json = {}): Promise<Session> {
    return await this.#made(await this.call("POST", "/v1/contexts", { model: "tiny", ...body }));
  }

  upload(context: string, query: string, body: BodyInit): Promise<Response> {
    const headers = { ...this.headers, "content-type": "text/plain" };
    return request(`/v1/contexts/${context}/text?${query}`, { method: "PUT", headers, body });
  }

  /** Of a session or a context. */
  async facts(id: string): Promise<Session> {
    return await (await this.call("GET", `/v1/${id.startsWith("ctx_") ? "contexts" : "sessions"}/${id}`)).json();
  }

  /** Sends a question to a session. @throws Error with the server's error as JSON. */
  async say(session: string, content: string, body: Json = {}): Promise<Said> {
    return await said(
      await this.call("POST", "/v1/chat/completions", { ...greedy, ...body, session_id: session, messages: [user(content)] }),
    );
  }

  /** Says these one after another; the conversation as a client would remember it. */
  async talk(session: string, ...contents: readonly string[]): Promise<Message[]> {
    const messages: Message[] = [];
    for (const content of contents) {
      const { text } = await this.say(session, content);
      messages.push(user(content), assistant(text));
    }
    return messages;
  }

  async #made(response: Response): Promise<Session> {
    if (response.status !== 201) throw new Error(JSON.stringify(await failure(response)));
    return await response.json();
  }
}

export async function said(response: Response): Promise<Said> {
  const answer = await response.json<{
    choices: { message: { content: string } }[];
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  }>();
  if (response.status !== 200) throw new Error(JSON.stringify(answer));
  return {
    text: answer.choices[0]?.message.content ?? "",
    prompt: answer.usage.prompt_tokens,
    cached: answer.usage.prompt_tokens_details.cached_tokens,
    session: response.headers.get("x-spikingbrain-session") ?? "",
  };
}

export async function oracle(messages: readonly Message[], body: Json = {}): Promise<string> {
  return (await said(await request("/v1/chat/completions", json({ ...greedy, ...body, messages })))).text;
}
