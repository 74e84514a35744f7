/**
 * A long seeded walk over everything that a client can do and everything that can go wrong meanwhile. Whatever happens to states, objects and
 * stores, every answer is the one that a request gets which nothing is kept for.
 */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { streamObjectName } from "../../../workers/session/ids/ids.ts";
import { dataLines, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { plainLetters } from "../support/plain-letters.ts";
import { seeded, type Dice } from "../support/dice.ts";
import { tenantOf, damageStore } from "../support/stores.ts";

const steps = 2_000;
const seed = 20_261_125;
const model = "tiny";

interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Sent whole each time, or kept by the server as a session. */
interface Conversation {
  readonly session: string | null;
  readonly messages: readonly Message[];
}

class Walk {
  readonly key = `sk-walk-${crypto.randomUUID()}`;
  readonly #dice: Dice;
  readonly counts: Record<string, number> = {};
  conversations: Conversation[] = [];
  hits = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  async step(): Promise<void> {
    const [name, run] = this.#dice.weighted<[string, () => Promise<void>]>([
      [6, ["begin", () => this.begin(false)]],
      [2, ["begin a session", () => this.begin(true)]],
      [40, ["continue", () => this.continue()]],
      [6, ["edit", () => this.edit()]],
      [5, ["ask again", () => this.askAgain()]],
      [6, ["fork", () => this.fork()]],
      [4, ["rewind", () => this.rewind()]],
      [3, ["leave half-way", () => this.leave()]],
      [4, ["come back", () => this.comeBack()]],
      [2, ["two at once", () => this.twoAtOnce()]],
      [2, ["forget", () => this.forget()]],
      [4, ["lose the tenant's object", () => lose("TENANT_OBJECT", tenantOf(this.key))]],
      [4, ["damage the store", () => this.damage()]],
    ]);
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.breakEngine();
    await run();
    engine.use({});
    if (this.conversations.length > 12) await this.forget();
  }

  async damage(): Promise<void> {
    await damageStore(await tenantOf(this.key), this.#dice);
  }

  /** Sometimes the engine refuses states, loses them, dies, or can't save. */
  breakEngine(): void {
    const dice = this.#dice;
    engine.use(
      dice.weighted([
        [60, {}],
        [5, { rejectStates: 1 }],
        [5, { loseStateAfter: { tokens: dice.below(4), times: 1 } }],
        [5, { breakAfter: { tokens: 1 + dice.below(4), how: dice.of(["error", "end", "abort"] as const) } }],
        [5, { failSaveAfterBytes: dice.below(2_000) }],
      ]),
    );
  }

  async begin(asSession: boolean): Promise<void> {
    const system = this.#dice.below(2) === 0 ? [{ role: "system", content: this.#dice.of(systems) } as const] : [];
    const session = asSession ? await createSession(this.key, {}) : null;
    await this.answer({ session, messages: system }, this.userMessage());
  }

  async continue(): Promise<void> {
    const conversation = this.any();
    if (conversation === undefined) await this.begin(false);
    else {
      this.conversations = this.conversations.filter((other) => other !== conversation);
      await this.answer(conversation, this.userMessage());
    }
  }

  async edit(): Promise<void> {
    const conversation = this.any((one) => one.session === null);
    if (conversation === undefined) return;
    const at = this.#dice.below(conversation.messages.length);
    const messages = conversation.messages.map((message, index) =>
      index === at ? { ...message, content: `${message.content} edited` } : message,
    );
    await this.answer({ session: null, messages }, this.userMessage());
  }

  async askAgain(): Promise<void> {
    const conversation = this.any((one) => one.session === null && one.messages.length >= 2);
    if (conversation === undefined) return;
    const messages = conversation.messages.slice(0, -2);
    const question = conversation.messages.at(-2);
    if (question !== undefined) await this.answer({ session: null, messages }, question);
  }

  async fork(): Promise<void> {
    const conversation = this.any();
    if (conversation === undefined) return;
    const { session, messages } = conversation;
    if (session === null) await this.answer({ session, messages }, this.userMessage());
    else {
      const { turns, kept } = this.cut(messages);
      const fork = await createSession(this.key, { from: { session_id: session, turn: turns } });
      await this.answer({ session: fork, messages: kept }, this.userMessage());
    }
  }

  async rewind(): Promise<void> {
    const conversation = this.any((one) => one.session !== null);
    if (conversation?.session === undefined || conversation.session === null) return;
    const { turns, kept } = this.cut(conversation.messages);
    const response = await request(`/v1/sessions/${conversation.session}/rewind`, json({ turn: turns }, authorization(this.key)));
    expect(response.status).toBe(200);
    await response.text();
    this.conversations = this.conversations.filter((other) => other !== conversation);
    await this.answer({ session: conversation.session, messages: kept }, this.userMessage());
  }

  /** A client that streams and leaves; what it leaves behind must not disturb anybody. */
  async leave(): Promise<void> {
    const conversation = this.any((one) => one.session === null);
    if (conversation === undefined) return;
    engine.use({ delayMilliseconds: 1 });
    const response = await this.send(conversation, this.userMessage(), { stream: true, max_tokens: 60 });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (let reads = this.#dice.below(4); reads >= 0; reads--) await reader.read();
    await reader.cancel();
  }

  /** A client that loses its connection, and the object that runs its answer, and comes back. */
  async comeBack(): Promise<void> {
    const conversation = this.any();
    if (conversation === undefined) return;
    const question = this.userMessage();
    engine.use({ delayMilliseconds: 1 });
    const response = await this.send(conversation, question, { stream: true });
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let seen = "";
    for (let reads = 1 + this.#dice.below(8); reads > 0; reads--) {
      const { value, done } = await reader.read();
      if (done) break;
      seen += new TextDecoder().decode(value);
    }
    await reader.cancel();
    seen = seen.slice(0, seen.lastIndexOf("\n\n") + 2);
    if (this.#dice.below(2) === 0) await lose("STREAM_OBJECT", Promise.resolve(streamObjectName(stream) ?? ""));
    const last = /id: (\S+)\n[^\n]*\n\n(?!.*id: )/s.exec(seen)?.[1];
    const again = await request(`/v1/streams/${stream}`, {
      headers: { ...authorization(this.key), ...(last === undefined ? {} : { "last-event-id": last }) },
    });
    const rest = await again.text();
    const text = textOf(last === undefined ? rest : seen + rest);
    await this.check(conversation, question, text, response);
  }

  /** One of two turns of a session takes its place, the other a fork's. */
  async twoAtOnce(): Promise<void> {
    const conversation = this.any((one) => one.session !== null);
    if (conversation === undefined) return;
    this.conversations = this.conversations.filter((other) => other !== conversation);
    engine.use({ delayMilliseconds: 1 });
    await Promise.all([this.answer(conversation, this.userMessage()), this.answer(conversation, this.userMessage())]);
  }

  async forget(): Promise<void> {
    const conversation = this.any();
    if (conversation === undefined) return;
    this.conversations = this.conversations.filter((other) => other !== conversation);
    if (conversation.session === null) return;
    const response = await request(`/v1/sessions/${conversation.session}`, { method: "DELETE", headers: authorization(this.key) });
    expect(response.status).toBe(204);
  }

  async answer(conversation: Conversation, question: Message): Promise<void> {
    const stop = this.#dice.below(6) === 0 ? { stop: [this.#dice.of(["a", "b", "c"])] } : {};
    const response = await this.send(conversation, question, stop);
    const { choices } = await readAnswer(response);
    await this.check(conversation, question, choices[0]?.message.content ?? "", response, stop);
  }

  /** Compares with the oracle, and keeps the conversation as its client would. */
  async check(conversation: Conversation, question: Message, text: string, response: Response, body: Json = {}): Promise<void> {
    if (response.headers.get("x-spikingbrain-cache")?.startsWith("hit") === true) this.hits++;
    engine.use({});
    const messages = [...conversation.messages, question];
    const oracle = await readAnswer(await request("/v1/chat/completions", json({ ...base, ...body, messages })));
    expect(text, JSON.stringify({ messages, body, header: response.headers.get("x-spikingbrain-cache") })).toBe(
      oracle.choices[0]?.message.content,
    );
    const session = conversation.session === null ? null : (response.headers.get("x-spikingbrain-session") ?? conversation.session);
    this.conversations.push({ session, messages: [...messages, { role: "assistant", content: text }] });
  }

  send({ session, messages }: Conversation, question: Message, body: Json): Promise<Response> {
    // A session has all messages but the question; its first turn brings the system message along.
    const hasTurns = messages.some(({ role }) => role !== "system");
    const sent = session !== null && hasTurns ? [question] : [...messages, question];
    const sessionField = session === null ? {} : { session_id: session };
    return request("/v1/chat/completions", json({ ...base, ...body, ...sessionField, messages: sent }, authorization(this.key)));
  }

  any(fits: (conversation: Conversation) => boolean = () => true): Conversation | undefined {
    const fitting = this.conversations.filter((one) => fits(one) && lengthOf(one) < longestConversation);
    return fitting.length === 0 ? undefined : this.#dice.of(fitting);
  }

  /** Some turns of a conversation from its beginning, at least one. */
  cut(messages: readonly Message[]): { readonly turns: number; readonly kept: readonly Message[] } {
    const answers = messages.flatMap(({ role }, at) => (role === "assistant" ? [at] : []));
    const turns = 1 + this.#dice.below(answers.length);
    return { turns, kept: messages.slice(0, (answers[turns - 1] ?? 0) + 1) };
  }

  userMessage(): Message {
    return { role: "user", content: `${this.#dice.of(questions)} ${String(this.#dice.below(10))}` };
  }
}

const base: Json = { model: model, temperature: 0, max_tokens: 6, ignore_eos: true, logit_bias: plainLetters };
const systems = ["Be brief.", "You are a lighthouse keeper who knows the sea, its winds, its ships and all of its stories by heart."];
const questions = ["Why?", "What is it", "Tell me a story of the sea and of those who never came back from it", "And"];

/** Characters, with room for headers: the toy takes 512 tokens in a request. */
const longestConversation = 380;
const headerCharacters = 18;
const lengthOf = ({ messages }: Conversation): number => messages.reduce((sum, { content }) => sum + content.length + headerCharacters, 0);

const authorization = (key: string) => ({ authorization: `Bearer ${key}` });

async function createSession(key: string, body: Json): Promise<string> {
  const response = await request("/v1/sessions", json({ model: model, ...body }, authorization(key)));
  const { id } = await response.json<{ id: string }>();
  expect(id).toMatch(/^sess_/);
  return id;
}

async function readAnswer(response: Response) {
  const answer = await response.json<{ choices: { message: { content: string } }[] }>();
  if (response.status !== 200) throw new Error(JSON.stringify(answer));
  return answer;
}

function textOf(events: string): string {
  const chunks = dataLines(events).filter((line) => line !== "[DONE]");
  return chunks
    .map((line) => (JSON.parse(line) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content ?? "")
    .join("");
}

async function lose(namespace: string, name: Promise<string>): Promise<void> {
  const objects = (env as unknown as Record<string, DurableObjectNamespace>)[namespace];
  if (objects === undefined) throw new Error(`no ${namespace}`);
  const call = runInDurableObject(objects.getByName(await name), (_object, state) => {
    state.abort("lost");
  });
  await expect(call).rejects.toThrow("lost");
}

test(`${String(steps)} steps with seed ${String(seed)}: every answer is the oracle's`, { timeout: 900_000 }, async () => {
  const walk = new Walk(seeded(seed));
  for (let step = 0; step < steps; step++) await walk.step();
  console.log(JSON.stringify({ hits: walk.hits, ...walk.counts }));
  // A walk that never finds a state proves nothing.
  expect(walk.hits).toBeGreaterThan(steps / 10);
});
