/** Replicas that come, go and come back; requests that are let go; and what a client is told when nobody is left. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { greedy, SessionClient, user } from "../support/session-client.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { littlePatience, Replicas, setPoolVariables, usualPatience } from "./troubled-replicas.ts";

let pool: Replicas;
let lines: string[] = [];

beforeAll(() => setPoolVariables(littlePatience));
afterAll(async () => {
  setPoolVariables(usualPatience);
  await pool.leave();
});
beforeEach(async () => {
  engine.use({});
  pool = new Replicas(2);
  await pool.join();
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const ask = (body: Json = {}, headers: Record<string, string> = {}) =>
  request("/v1/chat/completions", json({ ...greedy, messages: [user("Ships?")], ...body }, headers));
const kindOf = (response: Response) => response.headers.get("x-spikingbrain-backend")?.split(" ")[0];
const allAway = () => pool.names.forEach((name) => pool.away.add(name));

interface Whole {
  readonly choices: readonly {
    readonly message: { readonly content: string };
    readonly placements?: readonly { readonly kind: string }[];
  }[];
  readonly usage: Json;
}
const textOf = async (response: Response) => (await response.json<Whole>()).choices[0]?.message.content;

async function readChunks(response: Response, count: number): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let read = 0; read < count; read++) await reader.read();
  return reader;
}

describe("where replicas go", () => {
  test("a new request goes to the engine, and back to them when they are back", async () => {
    expect(kindOf(await ask())).toBe("vllm");
    await pool.leave();
    expect(kindOf(await ask())).toBe("engine");
    await pool.join();
    expect(kindOf(await ask())).toBe("vllm");
  });

  test("an answer goes on at the engine, from the token where it was", async () => {
    await pool.leave();
    const whole = await textOf(await ask());
    await pool.join();
    // The first is cut, and nobody takes the rest.
    pool.troubles = [{ how: "cut", at: 4 }, ...Array.from({ length: 8 }, () => ({ how: "refused" }) as const)];
    const answer = await ask({ placement: true });
    expect(kindOf(answer)).toBe("vllm");
    const { choices } = await answer.json<Whole>();
    expect(choices[0]?.message.content).toBe(whole);
    expect(choices[0]?.placements).toMatchObject([
      { kind: "vllm", from_token: 0 },
      { kind: "engine", backend: "engine", from_token: 4 },
    ]);
    const placed = lines.filter((line) => line.includes('"event":"generation_placed"')).map((line) => JSON.parse(line) as Json);
    expect(placed.slice(1)).toMatchObject([
      { kind: "vllm", sampled: 0 },
      { kind: "engine", sampled: 4, reasons: expect.stringContaining("did not take it (engine_unavailable)") as string },
    ]);
  });

  test("an answer that begins at the engine goes on at them", async () => {
    await pool.leave();
    const whole = await textOf(await ask());
    engine.use({ breakAt: { token: 3, how: "abort" }, delayMilliseconds: 100 });
    const answered = ask({ placement: true });
    await vi.waitFor(() => expect(engine.generatedTokens).toBe(1));
    await pool.join();
    const { choices } = await (await answered).json<Whole>();
    expect(choices[0]?.message.content).toBe(whole);
    expect(choices[0]?.placements).toMatchObject([
      { kind: "engine", from_token: 0 },
      { kind: "vllm", from_token: 3 },
    ]);
  });
});

describe("where nobody is left", () => {
  test("a request is a 503 with Retry-After, after every backend was asked once", async () => {
    allAway();
    engine.use({ refuse: { ...scriptedFailure, retryAfterSeconds: 3 } });
    const answer = await ask();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "3"]);
    expect(await failure(answer)).toMatchObject({ code: "engine_unavailable" });
    expect(engine.calls).toHaveLength(1);
  });

  test("an answer that has begun ends in one error event, after a few tries", async () => {
    pool.troubles = [{ how: "cut", at: 4 }, ...Array.from({ length: 50 }, () => ({ how: "refused" }) as const)];
    engine.use({ refuse: scriptedFailure });
    const text = await (await ask({ stream: true })).text().catch(() => "broken");
    expect(text === "broken" || text.match(/"error":/g)?.length === 1).toBe(true);
    await vi.waitFor(() => expect(lines.filter((line) => line.includes('"event":"generation_ended"'))).toHaveLength(1));
    expect(engine.calls.length).toBeLessThanOrEqual(5);
  });
});

describe("a client that leaves", () => {
  test("reaches the replica within a token or two, and says nothing against it", async () => {
    for (const replica of pool.all) replica.script = { delayMilliseconds: 60 };
    for (let time = 0; time < 6; time++) {
      const answer = await ask({ stream: true, max_tokens: 100 });
      expect(kindOf(answer)).toBe("vllm");
      const reader = await readChunks(answer, 4);
      const stopped = request(`/v1/streams/${answer.headers.get("x-spikingbrain-stream") ?? ""}`, { method: "DELETE" });
      const made = () => pool.all.reduce((sum, { generatedTokens }) => sum + generatedTokens, 0);
      const before = made();
      await stopped;
      await vi.waitFor(() => expect(pool.running).toBe(0));
      expect(made() - before).toBeLessThanOrEqual(2);
      await reader.cancel();
    }
    expect(kindOf(await ask({ max_tokens: 1 }))).toBe("vllm");
    // Nor does it count as a request there any more.
    const placed = lines.filter((line) => line.includes('"event":"generation_placed"')).map((line) => JSON.parse(line) as Json);
    expect(placed.at(-1)?.["reasons"]).toContain("busy 0.00");
  });
});

describe("replicas that fail again and again", () => {
  test("get no more work, and are tried again after a while", async () => {
    const kinds: (string | undefined)[] = [];
    pool.troubles = Array.from({ length: 40 }, () => ({ how: "status 500" }) as const);
    for (let time = 0; time < 10; time++) kinds.push(kindOf(await ask({ max_tokens: 1 })));
    expect(kinds).toEqual(kinds.map(() => "engine"));
    // Two replicas, three failures each.
    expect(pool.troubles).toHaveLength(40 - 6);
    pool.troubles = [];
    await vi.waitFor(async () => expect(kindOf(await ask({ max_tokens: 1 }))).toBe("vllm"), { timeout: 10_000, interval: 200 });
  }, 20_000);
});

test("replicas behind a tunnel are sent its token, which is nowhere else", async () => {
  const token = { id: "id-of-the-token.access", secret: "the-secret-of-the-token" };
  setPoolVariables({ POOL_ACCESS: `${token.id}:${token.secret}` });
  const answer = await ask();
  setPoolVariables({ POOL_ACCESS: undefined });
  expect(kindOf(answer)).toBe("vllm");
  const [asked] = pool.all.flatMap(({ seen }) => seen);
  expect(asked?.headers).toMatchObject({ "cf-access-client-id": token.id, "cf-access-client-secret": token.secret });
  const said = [...lines, JSON.stringify([...answer.headers]), await answer.text(), asked?.url, asked?.body].join("\n");
  for (const secret of Object.values(token)) expect(said).not.toContain(secret);
});

describe("what goes on from a session", () => {
  test("goes to where the session was last read, which no isolate has to remember: the session's forks, too", async () => {
    await pool.leave();
    pool = new Replicas(6);
    await pool.join();
    const alice = new SessionClient();
    const { id } = await alice.create();
    await alice.say(id, "Ships in harbours, and what they carry.");
    for (let fork = 0; fork < 4; fork++) {
      // Its affinity is another one, of which the isolate has seen nothing.
      const { id: forked } = await alice.create({ from: { session_id: id } });
      await alice.say(forked, "And then?");
    }
    const placed = lines.filter((line) => line.includes('"event":"generation_placed"')).map((line) => JSON.parse(line) as Json);
    expect(placed).toHaveLength(5);
    const reasons = expect.stringContaining("holds the conversation's state") as string;
    expect(placed.slice(1)).toMatchObject(placed.slice(1).map(() => ({ kind: "vllm", backend: placed[0]?.["backend"], reasons })));
  });
});

describe("replicas that move no states", () => {
  test("answer turns of a session from its whole text, and say so; the session is the one that it would have been", async () => {
    const [alice, bob] = [new SessionClient(), new SessionClient()];
    await pool.leave();
    const oracle = await bob.create();
    const firstOfBob = await bob.say(oracle.id, "Ships in harbours, and what they carry.");
    const mine = await alice.create();
    const first = await alice.say(mine.id, "Ships in harbours, and what they carry.");
    expect(first.text).toBe(firstOfBob.text);
    await pool.join();
    const say = (client: SessionClient, session: string) =>
      client.call("POST", "/v1/chat/completions", { ...greedy, session_id: session, messages: [user("And then?")] });
    const answer = await say(alice, mine.id);
    expect(kindOf(answer)).toBe("vllm");
    expect(answer.headers.get("x-spikingbrain-cache")).toMatch(/^rejected; tokens=0; .*moves no states/);
    const { choices, usage } = await answer.json<Whole>();
    expect(usage).toMatchObject({ prompt_tokens_details: { cached_tokens: 0 } });
    await pool.leave();
    const again = await say(bob, oracle.id);
    expect(again.headers.get("x-spikingbrain-cache")).toMatch(/^hit/);
    expect(choices[0]?.message.content).toBe(await textOf(again));
    // And it goes on at the engine, which reads what no state has.
    const third = await (await say(alice, mine.id)).json<Whole>();
    expect(third.choices[0]?.message.content).toBe(await textOf(await say(bob, oracle.id)));
  });
});
