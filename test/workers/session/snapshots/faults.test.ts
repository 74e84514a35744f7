/** What a store's rows say is not believed: whatever is changed in them, what comes out is the state or an error. */
import { describe, expect, test } from "vitest";
import { tokenChain } from "../../../../workers/session/snapshots/index/chain.ts";
import { Collection } from "../../../../workers/session/snapshots/index/collection.ts";
import { createTables } from "../../../../workers/session/snapshots/index/schema.ts";
import { Eviction } from "../../../../workers/session/snapshots/tiers/eviction.ts";
import { stateFile } from "../../support/state-files.ts";
import { compare, find, identity, inside, newTenant, put, randomTokens, read, storeOf, stored, windowed } from "./support.ts";

const tokenCount = 150;
const sql = (tenant: string, statement: string, ...values: SqlStorageValue[]) =>
  inside(tenant, (_object, { storage }) => void storage.sql.exec(statement, ...values));

/** Two conversations of the same length that begin with the same page. */
async function two(tenant: string) {
  const [first, second] = [randomTokens(tokenCount, 1), Uint32Array.from([...randomTokens(32, 1), ...randomTokens(tokenCount - 32, 2)])];
  return { first, second, one: stored(await put(tenant, first)).id, other: stored(await put(tenant, second)).id };
}

describe("rows that were", () => {
  const swap = (column: string, table: string, key: string) =>
    `UPDATE ${table} SET ${column} = (SELECT b.${column} FROM ${table} b WHERE b.${key} <> ${table}.${key} LIMIT 1)`;
  test.each<[string, string]>([
    ["flipped in a chunk", "UPDATE chunks SET bytes = CAST(substr(bytes, 1, 40) || x'00' || substr(bytes, 42) AS BLOB)"],
    ["cut", "UPDATE chunks SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) AS BLOB)"],
    ["lost", "DELETE FROM chunks WHERE blob % 2 = 0"],
    ["swapped between blobs", "UPDATE chunks SET blob = -blob; UPDATE chunks SET blob = (SELECT min(key) + max(key) FROM blobs) + blob"],
    ["swapped between snapshots", "UPDATE placements SET snapshot = -snapshot; UPDATE placements SET snapshot = 3 + snapshot"],
    [
      "swapped between pages",
      "UPDATE placements SET page = page + 100 WHERE page = 3; UPDATE placements SET page = 3 WHERE page = 4; UPDATE placements SET page = 4 WHERE page = 103",
    ],
    ["told of fewer tokens", "UPDATE snapshots SET tokens = tokens - 1"],
    ["told of another layout", "UPDATE snapshots SET layout = layout || '00'"],
    ["told of another model", "UPDATE snapshots SET model = tokenizer"],
    ["told that they can be cut", "UPDATE snapshots SET tail = node, cuttable = 1"],
    ["told of other masks", "UPDATE blobs SET mask = mask - 1 WHERE mask > 1"],
    ["told of other ends", swap("tail", "snapshots", "key")],
    ["told of another's proof", swap("proof", "snapshots", "key")],
  ])("%s", async (_name, statement) => {
    const tenant = newTenant();
    const { first, second, one, other } = await two(tenant);
    expect(compare(await read(storeOf(tenant), one), stateFile(windowed, first))).toBe("same");
    await sql(tenant, statement);
    expect(compare(await read(storeOf(tenant), one), stateFile(windowed, first))).toMatch(/is not valid|broken/);
    expect(compare(await read(storeOf(tenant), other), stateFile(windowed, second))).toMatch(/^same$|is not valid|broken|there is none/);
    expect(await storeOf(tenant).facts(one)).toBeNull();
  });

  test("in tables of their older names are found", async () => {
    const tenant = newTenant();
    const { first, one } = await two(tenant);
    await inside(tenant, (_object, { storage: { sql } }) => {
      sql.exec("DROP INDEX placements_by_blob; ALTER TABLE chunks RENAME TO pieces; ALTER TABLE placements RENAME TO parts");
      sql.exec("CREATE INDEX parts_by_blob ON parts (blob)");
      createTables(sql);
      expect(sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%part%' OR name LIKE '%piece%'").toArray()).toEqual([]);
    });
    expect(compare(await read(storeOf(tenant), one), stateFile(windowed, first))).toBe("same");
  });

  test("another tenant's", async () => {
    const [alice, mallory] = [newTenant(), newTenant()];
    const { id } = stored(await put(alice, randomTokens(tokenCount, 3)));
    await put(mallory, randomTokens(tokenCount, 4));
    const tables = ["snapshots", "blobs", "chunks", "placements"];
    const rows = await inside(alice, (_object, { storage }) => tables.map((table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray()));
    await inside(mallory, (_object, { storage }) => {
      for (const table of tables) storage.sql.exec(`DELETE FROM ${table}`);
      for (const [at, table] of tables.entries())
        for (const row of rows[at] ?? []) {
          const columns = Object.keys(row);
          storage.sql.exec(
            `INSERT INTO ${table} (${columns.join(",")}) VALUES (${columns.map(() => "?").join(",")})`,
            ...columns.map((column) => row[column]),
          );
        }
    });
    expect(await read(storeOf(mallory), id)).toMatch(/is not valid/);
    expect(compare(await read(storeOf(alice), id), stateFile(windowed, randomTokens(tokenCount, 3)))).toBe("same");
  });
});

describe("others", () => {
  test("find nothing of it by its tokens or its chain, and open nothing by its id", async () => {
    const [alice, mallory] = [newTenant(), newTenant()];
    const tokens = randomTokens(tokenCount, 4);
    const { id } = stored(await put(alice, tokens));
    expect((await find(alice, tokens)).candidates).toMatchObject([{ id }]);
    expect((await find(mallory, tokens)).candidates).toEqual([]);
    expect((await storeOf(mallory).find(identity, await tokenChain(identity, alice, tokens))).candidates).toEqual([]);
    expect(await storeOf(mallory).open(id, tokenCount)).toEqual(await storeOf(mallory).open("0".repeat(32), tokenCount));
    expect(compare(await read(storeOf(alice), id), stateFile(windowed, tokens))).toBe("same");
  });

  test("cannot tell from a stored page what it holds: nothing of a state lies there in the clear", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(tokenCount, 5);
    stored(await put(tenant, tokens));
    const page = stateFile(windowed, tokens).subarray(-300, -200);
    const chunks = await inside(tenant, (_object, { storage }) =>
      storage.sql
        .exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM chunks")
        .toArray()
        .map(({ bytes }) => new Uint8Array(bytes)),
    );
    const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
    expect(chunks.some((bytes) => text(bytes).includes(text(page)))).toBe(false);
    expect(text(stateFile(windowed, tokens))).toContain(text(page));
  });
});

test("storage that fails at any write leaves nothing half, and what was there as it was", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(tokenCount, 6);
  const before = stored(await put(tenant, tokens.subarray(0, 100)));
  let failures = 0;
  for (const table of ["snapshots", "blobs", "chunks", "placements", "owners"]) {
    const { hotBytes } = await storeOf(tenant).usage();
    for (let after = 0; ; after++) {
      await sql(tenant, `INSERT OR REPLACE INTO facts (name, value) VALUES ('fault', ?)`, after);
      await sql(
        tenant,
        `CREATE TRIGGER fault BEFORE INSERT ON ${table} BEGIN
           UPDATE facts SET value = value - 1 WHERE name = 'fault';
           SELECT RAISE(ABORT, 'disk full') WHERE (SELECT value FROM facts WHERE name = 'fault') < 0;
         END`,
      );
      const outcome = await put(tenant, tokens, { parent: before.id, fromPage: 3, owner: "session:a:1", isFindable: false });
      await sql(tenant, "DROP TRIGGER fault");
      if (outcome.ok) {
        await storeOf(tenant).release("session:a:");
        break;
      }
      failures++;
      expect((await storeOf(tenant).usage()).hotBytes).toBe(hotBytes);
      expect(compare(await read(storeOf(tenant), before.id), stateFile(windowed, tokens.subarray(0, 100)))).toBe("same");
    }
  }
  expect(failures).toBeGreaterThan(10);
});

test.each([100, 2_000, 3_500])("an object that dies after %d bytes of a state has nothing of it when it starts again", async (bytes) => {
  const tenant = newTenant();
  const tokens = randomTokens(tokenCount, 11);
  const before = stored(await put(tenant, tokens.subarray(0, 100)));
  const { hotBytes } = await storeOf(tenant).usage();
  const { readable, writable } = new IdentityTransformStream();
  const order = { identity, tokens: tokenCount, parent: before.id, fromPage: 3, chain: null, owner: "session:a:1", expires: null };
  const outcome = storeOf(tenant)
    .put(order, readable)
    .then(
      () => "stored",
      () => "dead",
    );
  const writer = writable.getWriter();
  await writer.write(stateFile(windowed, tokens, 3).subarray(0, bytes));
  await inside(tenant, (_object, state) => {
    state.abort("scripted death");
  }).catch(() => undefined);
  expect(await outcome).toBe("dead");
  await writer.abort("dead").catch(() => undefined);
  expect((await storeOf(tenant).usage()).hotBytes).toBe(hotBytes);
  expect(compare(await read(storeOf(tenant), before.id), stateFile(windowed, tokens.subarray(0, 100)))).toBe("same");
});

describe("a quota", () => {
  test("evicts what costs least to read again for what it takes, entries that were not used first", async () => {
    const tenant = newTenant();
    const long = stored(await put(tenant, randomTokens(2_000, 7))).id;
    const short = stored(await put(tenant, randomTokens(60, 8))).id;
    const kept = stored(await put(tenant, randomTokens(60, 9), { owner: "session:a:1" })).id;
    const newest = stored(await put(tenant, randomTokens(60, 10))).id;
    const left = (quotaBytes: number) =>
      inside(tenant, (_object, { storage }) => {
        const collection = new Collection(storage, 1_000_000);
        const newestKey = collection.rows.finished(newest)?.key ?? 0;
        storage.transactionSync(() => {
          new Eviction(storage, collection, quotaBytes).makeRoom(newestKey);
        });
        return [long, short, kept, newest].map((id) => collection.rows.finished(id) !== undefined);
      });
    const { hotBytes } = await storeOf(tenant).usage();
    expect(await left(hotBytes)).toEqual([true, true, true, true]);
    expect(await left(hotBytes - 1)).toEqual([true, false, true, true]);
    const rest = (await storeOf(tenant).usage()).hotBytes;
    await expect(left(1_000)).rejects.toThrow(
      /^quota: what a key keeps may take 1000 bytes; it would take (\d+): states \1, sessions 0, .*: delete sessions, contexts or shares/,
    );
    expect((await storeOf(tenant).usage()).hotBytes).toBe(rest);
    expect(await left(rest - 1)).toEqual([false, false, true, true]);
  });

  test("lets what is used often grow old more slowly", async () => {
    const tenant = newTenant();
    const priorities = await inside(tenant, (_object, { storage }) => {
      const collection = new Collection(storage, 1_000_000);
      const eviction = new Eviction(storage, collection, 0);
      const facts = { identity, layout: "", tokens: 100, cuttable: false, fileBytes: 100, used: 0 };
      const keys = ["a", "b", "c"].map((id) => collection.rows.add({ ...facts, id }));
      for (const key of keys) {
        collection.rows.finish(key, new Uint8Array(), "n", "t");
        eviction.rate({ ...facts, key });
      }
      storage.sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES ('age', 5)");
      eviction.rate({ ...facts, key: keys[1] ?? 0 });
      return storage.sql
        .exec<{ priority: number }>("SELECT priority FROM snapshots ORDER BY key")
        .toArray()
        .map(({ priority }) => priority);
    });
    expect(priorities).toEqual([1, 6, 1]);
  });
});
