/**
 * Many streams at once over replicas that are killed, hang, are slow, are cut off and lie: each is whole, and equal to the undisturbed one.
 * `npm run bench -- chaos` runs more of them and keeps a record.
 */
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import type {} from "./provided.ts";
import { seeded } from "../support/dice.ts";
import type { Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { ask, got, kinds, tokens, type Got } from "./answers.ts";
import { isRefusal, littlePatience, Replicas, setPoolVariables, troubles, usualPatience, type Trouble } from "./troubled-replicas.ts";

const { streams, seed } = inject("chaos");
const atOnce = 12;
const replicaCount = 8;
const prompts = ["Ships?", "What do ships carry from harbour to harbour, and who counts it?", "An ocean."];

const dice = seeded(seed);
const pool = new Replicas(replicaCount);
const questions: readonly Json[] = prompts.flatMap((content) =>
  kinds.map(([, body]) => ({ ...body, messages: [{ role: "user", content }] })),
);

beforeAll(() => setPoolVariables(littlePatience));
afterAll(async () => {
  setPoolVariables(usualPatience);
  await pool.leave();
});

/** One request in three meets a trouble: rarely one that takes its time. */
function trouble(): Trouble | undefined {
  if (dice.below(3) > 0) return undefined;
  const how = dice.weighted(troubles.map((one) => [one === "hang" || one === "never answers" ? 1 : 4, one] as const));
  return isRefusal(how) ? { how } : { how, at: dice.below(tokens + 1) };
}

/** A replica is killed, or comes back; one is slow for a while. */
function meddle(): void {
  const name = dice.of(pool.names);
  if (!pool.away.delete(name) && pool.away.size < replicaCount / 4) pool.away.add(name);
  for (const replica of pool.all) replica.script = {};
  dice.of(pool.all).script = { delayMilliseconds: 1 + dice.below(20) };
}

test(
  `${String(streams)} streams over replicas in trouble are the undisturbed ones`,
  async () => {
    const lines = spyOnLog();
    const logged = (event: string) => lines.filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line) as Json);
    engine.use({});
    const whole: Got[] = [];
    for (const question of questions) whole.push(await got(await ask(question)));
    await pool.join();
    await vi.waitFor(() => expect(logged("generation_ended")).toHaveLength(questions.length));
    lines.length = 0;
    pool.nextTrouble = trouble;

    const differing: unknown[] = [];
    const milliseconds: number[] = [];
    let left = streams;
    const client = async () => {
      while (left-- > 0) {
        if (dice.below(6) === 0) meddle();
        const which = dice.below(questions.length);
        const begin = Date.now();
        const answer = await got(await ask(questions[which] ?? {}));
        milliseconds.push(Date.now() - begin);
        const isSame = JSON.stringify({ ...answer, backend: null }) === JSON.stringify({ ...whole[which], backend: null });
        if (!isSame) differing.push({ answer, whole: whole[which] });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, client));

    expect(differing).toEqual([]);
    await vi.waitFor(() => expect(logged("generation_ended")).toHaveLength(streams));
    for (const ended of logged("generation_ended")) expect(ended).toMatchObject({ completionTokens: tokens, ending: "whole" });
    for (const metered of logged("tokens_metered")) expect(metered).toMatchObject({ sampledTokens: tokens });
    expect(logged("tokens_metered")).toHaveLength(streams);
    expect(logged("stream_ended")).toHaveLength(streams);
    // Enough of them were in trouble for this to say anything.
    const retried = logged("generation_retried").length;
    expect(pool.struck).toBeGreaterThan(streams / 8);
    expect(retried).toBeGreaterThan(streams / 20);
    await vi.waitFor(() => expect(engine.running).toBe(0));
    const placed = logged("generation_placed");
    const facts = {
      ...{ streams, seed, atOnce, replicas: replicaCount, troubles: pool.struck, refusedOrLost: logged("backend_failed").length, retried },
      atEngine: placed.filter(({ kind }) => kind === "engine").length,
      movedInMidStream: placed.filter(({ sampled }) => Number(sampled) > 0).length,
      milliseconds: milliseconds.toSorted((one, other) => one - other),
    };
    vi.restoreAllMocks();
    console.info(`chaos: ${JSON.stringify(facts)}`);
  },
  60_000 + 1_000 * streams,
);
