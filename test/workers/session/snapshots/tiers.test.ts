/** Where states lie, how long, and what happens when a place fails. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { tokenChain } from "../../../../workers/session/snapshots/index/chain.ts";
import { tenantStore } from "../../../../workers/session/snapshots/tiers/near-store.ts";
import { stateFile } from "../../support/state-files.ts";
import {
  bindings,
  compare,
  find,
  hybrid,
  identity,
  inside,
  newTenant,
  objectOf,
  put,
  randomTokens,
  read,
  storeOf,
  stored,
  windowed,
} from "./support.ts";

const hour = 3_600_000;
const day = 24 * hour;
const owner = "session:a:1";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);
const alarm = (tenant: string) => runDurableObjectAlarm(objectOf(tenant));
const packs = async (tenant: string) => (await bindings.SNAPSHOTS.list({ prefix: tenant })).objects.map(({ key }) => key);
const copies = async (tenant: string) => (await bindings.PREFIXES.list({ prefix: tenant })).keys.map(({ name }) => name);
const usage = (tenant: string) => storeOf(tenant).usage();

/** In place of R2's or KV's method, for everybody. */
function replace(service: R2Bucket | KVNamespace, method: string, by: (...values: unknown[]) => unknown) {
  return vi.spyOn(Object.getPrototypeOf(service) as Record<string, (...values: unknown[]) => unknown>, method).mockImplementation(by);
}

/** A state that is kept and has gone to R2. */
async function durable(tenant: string, tokens: Uint32Array, shape = windowed): Promise<string> {
  const { id } = stored(await put(tenant, tokens, { shape, owner: owner, isFindable: false }));
  later(2 * hour);
  await alarm(tenant);
  expect(await storeOf(tenant).facts(id)).toMatchObject({ tier: "durable" });
  return id;
}

/** One that is opened so often that it is copied to KV, and where it is then read from. */
async function shared(tenant: string, tokens: Uint32Array) {
  const { id } = stored(await put(tenant, tokens));
  for (let opens = 0; opens < 3; opens++) await read(storeOf(tenant), id);
  await expect.poll(async () => (await storeOf(tenant).facts(id))?.tier).toBe("near");
  const near = tenantStore(bindings, tenant);
  await near.find(identity, await tokenChain(identity, tenant, tokens));
  return { id, near };
}

describe("what is kept and not used", () => {
  test.each([
    ["windows", windowed],
    ["all of the past", hybrid],
  ])("goes to R2 in one object, and comes back when it is used: %s", async (_name, shape) => {
    const tenant = newTenant();
    const tokens = randomTokens(150, 1);
    const id = await durable(tenant, tokens, shape);
    expect(await usage(tenant)).toMatchObject({ hotBytes: 0 });
    expect(await packs(tenant)).toHaveLength(1);
    await evictDurableObject(objectOf(tenant));
    expect(compare(await read(storeOf(tenant), id), stateFile(shape, tokens))).toBe("same");
    expect(await storeOf(tenant).facts(id)).toMatchObject({ tier: "hot" });
    expect(await usage(tenant)).toMatchObject({ durableBytes: 0 });
    await alarm(tenant);
    expect(await packs(tenant)).toEqual([]);
    expect(compare(await read(storeOf(tenant), id), stateFile(shape, tokens))).toBe("same");
  });

  test("leaves behind what a fresher one shares with it", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(70, 2);
    const first = stored(await put(tenant, tokens.subarray(0, 39), { owner: owner }));
    later(2 * hour);
    const second = stored(await put(tenant, tokens, { parent: first.id, fromPage: 1 }));
    await alarm(tenant);
    expect(await storeOf(tenant).facts(first.id)).toMatchObject({ tier: "durable" });
    expect(await storeOf(tenant).facts(second.id)).toMatchObject({ tier: "hot" });
    for (const [id, count] of [
      [second.id, 70],
      [first.id, 39],
    ] as const)
      expect(compare(await read(storeOf(tenant), id), stateFile(windowed, tokens.subarray(0, count)))).toBe("same");
  });

  test("stays where it is while R2 takes nothing", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(50, 3);
    const { id } = stored(await put(tenant, tokens, { owner: owner }));
    replace(bindings.SNAPSHOTS, "put", () => Promise.reject(new Error("R2 is down")));
    later(2 * hour);
    await alarm(tenant);
    vi.restoreAllMocks();
    expect(await storeOf(tenant).facts(id)).toMatchObject({ tier: "hot" });
    expect(compare(await read(storeOf(tenant), id), stateFile(windowed, tokens))).toBe("same");
  });
});

describe("R2", () => {
  test.each<[string, () => unknown]>([
    ["is down", () => Promise.reject(new Error("R2 is down"))],
    ["does not answer", () => new Promise(() => undefined)],
  ])("that %s is a failure, and the state is there afterwards", { timeout: 30_000 }, async (_name, by) => {
    const tenant = newTenant();
    const tokens = randomTokens(50, 4);
    const id = await durable(tenant, tokens);
    replace(bindings.SNAPSHOTS, "get", by);
    expect(await read(storeOf(tenant), id)).toMatch(/cannot be reached: R2/);
    vi.restoreAllMocks();
    expect(compare(await read(storeOf(tenant), id), stateFile(windowed, tokens))).toBe("same");
  });

  test.each<[string, (pack: Uint8Array) => Uint8Array | null]>([
    ["has lost it", () => null],
    ["has cut it", (pack) => pack.subarray(0, pack.length - 9)],
    ["has a bit of its head flipped", (pack) => pack.with(100, (pack[100] ?? 0) ^ 4)],
    ["has a bit of its last page flipped", (pack) => pack.with(pack.length - 3, (pack.at(-3) ?? 0) ^ 4)],
  ])("that %s gives no wrong byte, and the entry goes", async (_name, damage) => {
    const tenant = newTenant();
    const id = await durable(tenant, randomTokens(50, 5));
    const [name = ""] = await packs(tenant);
    const damaged = damage(new Uint8Array(await ((await bindings.SNAPSHOTS.get(name)) as R2ObjectBody).arrayBuffer()));
    if (damaged === null) await bindings.SNAPSHOTS.delete(name);
    else await bindings.SNAPSHOTS.put(name, damaged);
    expect(await read(storeOf(tenant), id)).toMatch(/is not valid|broken/);
    expect(await storeOf(tenant).facts(id)).toBeNull();
    await alarm(tenant);
    expect(await packs(tenant)).toEqual([]);
  });

  test("that has another tenant's pack in its place gives nothing of it", async () => {
    const [alice, mallory] = [newTenant(), newTenant()];
    await durable(alice, randomTokens(50, 6));
    const id = await durable(mallory, randomTokens(50, 7));
    const [theirs = ""] = await packs(alice);
    const [own = ""] = await packs(mallory);
    await bindings.SNAPSHOTS.put(own, await ((await bindings.SNAPSHOTS.get(theirs)) as R2ObjectBody).arrayBuffer());
    expect(await read(storeOf(mallory), id)).toMatch(/is not valid/);
  });
});

describe("a cached snapshot that is opened often", () => {
  const tierOf = async (near: ReturnType<typeof tenantStore>, id: string) => {
    const outcome = await near.open(id, Infinity);
    if (!outcome.ok) return outcome.failure.message;
    await outcome.value.bytes.cancel();
    return outcome.value.tier;
  };

  test("is copied to KV, sealed, and read from there, whole or cut", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(39, 8);
    const { id, near } = await shared(tenant, tokens);
    expect(await tierOf(near, id)).toBe("near");
    expect(compare(await read(near, id), stateFile(windowed, tokens))).toBe("same");
    for (const keep of [33, 32, 5]) expect(compare(await read(near, id, keep), stateFile(windowed, tokens.subarray(0, keep)))).toBe("same");
    const [name = ""] = await copies(tenant);
    const value = (await bindings.PREFIXES.get(name, "arrayBuffer")) ?? new ArrayBuffer();
    expect(compare(new Uint8Array(value).subarray(44), stateFile(windowed, tokens))).not.toBe("same");
  });

  test.each<[string, (value: Uint8Array) => Uint8Array]>([
    ["a flipped bit", (value) => value.with(60, (value[60] ?? 0) ^ 1)],
    ["another length", (value) => value.with(0, (value[0] ?? 0) ^ 1)],
    ["an end too early", (value) => value.subarray(0, value.length - 1)],
    ["nothing in it", () => new Uint8Array()],
  ])("is read from the tenant's object where the copy has %s", async (_name, damage) => {
    const tenant = newTenant();
    const tokens = randomTokens(100, 9);
    const { id, near } = await shared(tenant, tokens);
    const [name = ""] = await copies(tenant);
    const value = new Uint8Array((await bindings.PREFIXES.get(name, "arrayBuffer")) ?? new ArrayBuffer());
    await bindings.PREFIXES.put(name, damage(value));
    expect(await tierOf(near, id)).toBe("near");
    expect(compare(await read(storeOf(tenant), id), stateFile(windowed, tokens))).toBe("same");
    expect(compare(await read(near, id), stateFile(windowed, tokens))).toBe("same");
  });

  test("is read from the tenant's object where KV is down", async () => {
    const tenant = newTenant();
    const { id, near } = await shared(tenant, randomTokens(100, 10));
    replace(bindings.PREFIXES, "get", () => Promise.reject(new Error("KV is down")));
    expect(compare(await read(near, id), stateFile(windowed, randomTokens(100, 10)))).toBe("same");
  });

  test("goes from KV with its entry", async () => {
    const tenant = newTenant();
    await shared(tenant, randomTokens(100, 11));
    expect(await copies(tenant)).toHaveLength(1);
    await storeOf(tenant).deleteAll();
    expect(await copies(tenant)).toEqual([]);
  });
});

describe("time", () => {
  test("ends cached snapshots that are not used, and not those that are", async () => {
    const tenant = newTenant();
    const [used, unused] = [randomTokens(50, 12), randomTokens(50, 13)];
    const { id } = stored(await put(tenant, used));
    stored(await put(tenant, unused));
    for (let half = 0; half < 3; half++) {
      later(day / 2 + hour);
      await read(storeOf(tenant), id);
    }
    expect((await find(tenant, used)).candidates).toHaveLength(1);
    expect((await find(tenant, unused)).candidates).toHaveLength(0);
    later(2 * day);
    await alarm(tenant);
    expect(await usage(tenant)).toMatchObject({ hotBytes: 0, sharedBytes: 0, durableBytes: 0 });
  });

  test("ends what owners keep when they said so, and when all of them let go", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(50, 14);
    const { id } = stored(await put(tenant, tokens, { owner: owner, expires: Date.now() + 3 * day, isFindable: false }));
    expect(await storeOf(tenant).keep(id, "session:b:1", Date.now() + 5 * day)).toMatchObject({ ok: true });
    await storeOf(tenant).release("session:a:");
    later(4 * day);
    expect(compare(await read(storeOf(tenant), id), stateFile(windowed, tokens))).toBe("same");
    later(2 * day);
    expect(await read(storeOf(tenant), id)).toMatch(/there is none/);
    expect(await storeOf(tenant).keep(id, owner, Date.now() + day)).toMatchObject({ ok: false });
  });

  test("that jumps ahead and back again leaves no entry for ever and no alarm too late", async () => {
    const tenant = newTenant();
    const start = Date.now();
    later(3_650 * day);
    stored(await put(tenant, randomTokens(50, 15)));
    const { id } = stored(await put(tenant, randomTokens(60, 15), { owner: owner, isFindable: false }));
    vi.setSystemTime(start);
    await storeOf(tenant).keep(id, owner, start + 30 * day);
    const due = await inside(tenant, (_object, state) => state.storage.getAlarm());
    expect(due).toBeLessThanOrEqual(start + 2 * hour);
    await alarm(tenant);
    vi.setSystemTime(start + 2 * day);
    await alarm(tenant);
    expect((await find(tenant, randomTokens(50, 15))).candidates).toEqual([]);
    expect(await storeOf(tenant).facts(id)).toMatchObject({ tier: "durable" });
    expect(compare(await read(storeOf(tenant), id), stateFile(windowed, randomTokens(60, 15)))).toBe("same");
  });
});

test("deleting everything deletes it everywhere, also what a service did not delete at once", async () => {
  const tenant = newTenant();
  const id = await durable(tenant, randomTokens(50, 16));
  stored(await put(tenant, randomTokens(60, 17)));
  replace(bindings.SNAPSHOTS, "delete", () => Promise.reject(new Error("R2 is down")));
  await storeOf(tenant).deleteAll();
  expect(await usage(tenant)).toMatchObject({ hotBytes: 0, sharedBytes: 0, durableBytes: 0 });
  expect(await read(storeOf(tenant), id)).toMatch(/there is none/);
  expect(await packs(tenant)).toHaveLength(1);
  vi.restoreAllMocks();
  await alarm(tenant);
  expect(await packs(tenant)).toEqual([]);
  const rows = await inside(tenant, (_object, { storage }) =>
    ["snapshots", "blobs", "chunks", "placements", "nodes", "asked", "owners", "packs", "copies", "trash"].map(
      (table) => storage.sql.exec<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).one().count,
    ),
  );
  expect(rows.every((count) => count === 0)).toBe(true);
});

test("all of it goes from R2 and KV too where the object has lost the file that told of it, once they can be reached", async () => {
  const tenant = newTenant();
  await durable(tenant, randomTokens(100, 15));
  await shared(tenant, randomTokens(100, 16));
  const other = newTenant();
  await durable(other, randomTokens(100, 17));
  expect([await packs(tenant), await copies(tenant)]).toEqual([[expect.any(String)], [expect.any(String)]]);
  await inside(tenant, (_object, { storage }) => storage.deleteAll());
  await evictDurableObject(objectOf(tenant));
  const down = replace(bindings.SNAPSHOTS, "list", () => Promise.reject(new Error("R2 is down")));
  await storeOf(tenant).deleteAll();
  down.mockRestore();
  // What comes meanwhile stays.
  const id = await durable(tenant, randomTokens(100, 18));
  expect([(await packs(tenant)).length, await copies(tenant), (await packs(other)).length]).toEqual([1, [], 1]);
  expect(compare(await read(storeOf(tenant), id), stateFile(windowed, randomTokens(100, 18)))).toBe("same");
  await storeOf(tenant).deleteAll();
  expect(await packs(tenant)).toEqual([]);
});
