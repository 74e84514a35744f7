/** Orders in an object's rows: what is read back is what was written, in one row or in several. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { greedyParameters } from "../../../../workers/contracts/engine.ts";
import type { GenerationOrder } from "../../../../workers/contracts/session.ts";
import { encodeOrder, OrderRows, type StoredOrder } from "../../../../workers/session/answers/order-rows.ts";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";

const bindings = env as unknown as SessionEnvironment;
const later = 1_000;

function orderOf(stream: string, prompts: readonly Uint32Array[]): StoredOrder {
  const jobs = prompts.map((prompt, index) => ({
    ...{ index, promptIndex: index, stops: [], echo: null },
    request: { ...greedyParameters, requestId: "r", prompt, maxTokens: 4 },
  }));
  const model = { id: "m", digest: "d", tokenizerDigest: "t" };
  const order = { stream, tenant: null, model, abilities: [], jobs, recipe: "{}", resumable: true } as unknown as GenerationOrder;
  const base = { snapshot: null, tokens: 0, unread: Uint32Array.of(7, 8) };
  return { order, prepared: { session: "s", turn: 1, base, seen: new Uint32Array() } };
}

const withRows = async <T>(look: (rows: OrderRows, sql: SqlStorage) => T): Promise<T> =>
  await runInDurableObject(bindings.STREAM_OBJECT.getByName(crypto.randomUUID()), (_object, { storage: { sql } }) => {
    const rows = new OrderRows(sql);
    rows.makeTables();
    return look(rows, sql);
  });
const partsIn = (sql: SqlStorage) => sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM order_parts").one().count;

test.each([
  ["small", [Uint32Array.of(1, 2, 3), new Uint32Array()], 0],
  ["large", [new Uint32Array(20_000).fill(5), Uint32Array.of(1)], 5],
] as const)("a %s order is read as it was written, and counts the bytes that it has", async (_name, prompts, parts) => {
  const stored = orderOf("edge00-1", prompts);
  await withRows((rows, sql) => {
    const encoded = encodeOrder(stored);
    rows.put(encoded);
    expect(rows.get("edge00-1")).toEqual(stored);
    expect(rows.bytes("edge00-1")).toBe(encoded.bytes);
    expect(partsIn(sql)).toBe(parts);
    rows.delete("edge00-1");
    expect(rows.get("edge00-1")).toBeUndefined();
    expect(partsIn(sql)).toBe(0);
  });
});

test("what runs, has ended or is forgotten is known to who looks at the rows anew", async () => {
  await withRows((rows, sql) => {
    for (const stream of ["running", "ended", "forgotten"]) rows.put(encodeOrder(orderOf(stream, [Uint32Array.of(1)])));
    rows.keepUntil("ended", later);
    rows.forget("forgotten");
    rows.keepUntil("forgotten", later);
    for (const view of [rows, new OrderRows(sql)]) {
      expect(view.running()).toEqual(["running"]);
      expect(view.expired(later).toSorted()).toEqual(["ended", "forgotten"]);
      expect(["running", "ended", "forgotten"].map((stream) => view.isForgotten(stream))).toEqual([false, false, true]);
    }
    rows.delete("running");
    rows.delete("forgotten");
    for (const view of [rows, new OrderRows(sql)]) {
      expect(view.running()).toEqual([]);
      expect(view.isForgotten("forgotten")).toBe(false);
    }
  });
});
