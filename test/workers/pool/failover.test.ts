/** Replicas that break before or in the middle of an answer, through the whole stack: the client sees one answer, the undisturbed one. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { ask, got, kinds, tokens, type Got } from "./answers.ts";
import { isRefusal, littlePatience, Replicas, setPoolVariables, troubles, usualPatience, type Trouble } from "./troubled-replicas.ts";

let pool: Replicas;
let lines: string[] = [];
beforeEach(() => {
  engine.use({});
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const eventsIn = (event: string) => lines.filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line) as Json);

/** Where each trouble strikes: before the first token, early, late, at the last token, and when only the end is missing. */
const everywhere = [0, 1, 7, tokens - 1, tokens];
const casesAt = (positions: readonly number[]) =>
  troubles.flatMap((how): Trouble[] => (isRefusal(how) ? [{ how }] : positions.map((at) => ({ how, at }))));

describe.each(kinds)("an answer that is %s", (name, body) => {
  let whole: Got;
  beforeAll(async () => {
    engine.use({});
    whole = await got(await ask(body));
    expect(whole).toMatchObject({ end: "[DONE]", usage: { completion_tokens: tokens }, backend: "engine engine" });
    setPoolVariables(littlePatience);
  });
  afterAll(async () => {
    setPoolVariables(usualPatience);
    await pool.leave();
  });
  // Others each time: nothing is remembered of them.
  beforeEach(async () => {
    pool = new Replicas(3);
    await pool.join();
  });

  test.each(casesAt(name === "greedy" ? everywhere : [7]))("is the undisturbed one: $how at $at", async (trouble) => {
    pool.troubles = [trouble];
    const answer = await got(await ask(body));
    expect({ ...answer, backend: null }).toEqual({ ...whole, backend: null });
    expect(answer.backend).toMatch(/^vllm /);
    expect([pool.troubles, engine.calls.length]).toEqual([[], 0]);
    await vi.waitFor(() => expect(eventsIn("generation_ended")).toMatchObject([{ completionTokens: tokens, ending: "whole" }]));
    expect(eventsIn("tokens_metered")).toMatchObject([{ sampledTokens: tokens }]);
    expect(eventsIn("stream_ended")).toHaveLength(1);
    // Inside one process, who hangs and writes nothing learns of no reader that has left.
    await vi.waitFor(() => expect(pool.running).toBe(trouble.how === "hang" ? 1 : 0));
  });
});
