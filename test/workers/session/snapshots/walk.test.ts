/**
 * A seeded walk over all that a store is asked and all that happens to it. Whatever the order, a state that comes out is bit for bit the one
 * that a text of those tokens has; and where nothing was broken or let go, it comes out.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { pageTokens } from "../../../../workers/state-file/page.ts";
import { seeded, type Dice } from "../../support/dice.ts";
import { stateFile } from "../../support/state-files.ts";
import { bindings, compare, find, inside, newTenant, objectOf, put, read, storeOf, windowed } from "./support.ts";

const steps = 250;
const hour = 3_600_000;
const longest = 300;

interface Known {
  readonly id: string;
  readonly tokens: Uint32Array;
  /** Whether it must be there: kept, and touched by no fault. */
  isSafe: boolean;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

class Walk {
  readonly tenant = newTenant();
  readonly #dice: Dice;
  readonly #known: Known[] = [];
  readonly counts = { whole: 0, cut: 0, refused: 0, found: 0 };

  constructor(seed: number) {
    this.#dice = seeded(seed);
  }

  async step(): Promise<void> {
    const step = this.#dice.weighted<() => Promise<unknown>>([
      [30, () => this.#put()],
      [30, () => this.#open()],
      [15, () => this.#find()],
      [5, () => this.#release()],
      [6, () => this.#evict()],
      [6, () => this.#wait()],
      [3, () => this.#damage()],
      [3, () => this.#failStorage()],
      [3, () => this.#withoutR2()],
      [1, () => this.#deleteAll()],
    ]);
    await step();
  }

  /** A text of its own, or one that goes on from what is there: from its end, or, where it can be cut, from anywhere. */
  async #put(): Promise<boolean> {
    const dice = this.#dice;
    const parent = this.#known.length > 0 && dice.below(4) > 0 ? dice.of(this.#known) : undefined;
    const isCuttable = parent !== undefined && parent.tokens.length < 40;
    const from = parent === undefined ? 0 : isCuttable ? dice.below(parent.tokens.length) : parent.tokens.length;
    const more = Uint32Array.from({ length: 1 + dice.below(60) }, () => dice.below(3));
    const tokens = Uint32Array.from([...(parent?.tokens.subarray(0, from) ?? []), ...more]);
    if (tokens.length > longest) return false;
    const isKept = dice.below(2) === 0;
    const outcome = await put(this.tenant, tokens, {
      ...{ parent: parent?.id ?? null, fromPage: Math.floor(from / pageTokens) },
      ...{ owner: isKept ? `session:${String(dice.below(5))}:1` : null, isFindable: !isKept || dice.below(2) === 0 },
      ...(dice.below(12) === 0 ? { breakAfter: dice.below(3_000) } : {}),
    });
    if (outcome.ok) this.#known.push({ id: outcome.value.id, tokens, isSafe: isKept });
    return outcome.ok;
  }

  async #open(): Promise<void> {
    if (this.#known.length === 0) return;
    const known = this.#dice.of(this.#known);
    const keep = this.#dice.below(3) === 0 ? 1 + this.#dice.below(known.tokens.length) : known.tokens.length;
    await this.#check(known, keep);
  }

  async #check(known: Known, keep: number): Promise<void> {
    const file = await read(storeOf(this.tenant), known.id, keep);
    if (typeof file === "string") {
      this.counts.refused++;
      if (/keep:/.test(file)) return;
      expect(known.isSafe && file).toBe(false);
      return;
    }
    expect(compare(file, stateFile(windowed, known.tokens.subarray(0, keep)))).toBe("same");
    if (keep < known.tokens.length) this.counts.cut++;
    else this.counts.whole++;
  }

  /** Everything that is found is what it says. */
  async #find(): Promise<void> {
    if (this.#known.length === 0) return;
    const { tokens } = this.#dice.of(this.#known);
    const asked = Uint32Array.from([...tokens.subarray(0, 1 + this.#dice.below(tokens.length)), ...Array(40).keys()]);
    for (const { id, tokens: count, commonPages } of (await find(this.tenant, asked)).candidates) {
      const known = this.#known.find((one) => one.id === id && one.tokens.length === count);
      const common = commonPages * pageTokens;
      expect(known?.tokens.subarray(0, common)).toEqual(asked.subarray(0, common));
      this.counts.found++;
    }
  }

  async #release(): Promise<void> {
    const owner = `session:${String(this.#dice.below(5))}:`;
    // Which of those that are known this owner kept is not written down here.
    for (const known of this.#known) known.isSafe = false;
    await storeOf(this.tenant).release(owner);
  }

  async #wait(): Promise<void> {
    vi.setSystemTime(Date.now() + this.#dice.of([hour / 2, 3 * hour, 30 * hour, -40 * hour]));
    await runDurableObjectAlarm(objectOf(this.tenant));
  }

  async #evict(): Promise<void> {
    // Only one that runs can be evicted.
    await storeOf(this.tenant).usage();
    await evictDurableObject(objectOf(this.tenant));
  }

  async #damage(): Promise<void> {
    for (const known of this.#known) known.isSafe = false;
    await inside(this.tenant, (_object, { storage }) => {
      const chunks = storage.sql.exec<{ blob: number }>("SELECT blob FROM chunks ORDER BY blob").toArray();
      if (chunks.length > 0)
        storage.sql.exec("UPDATE chunks SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB) WHERE blob = ?", this.#dice.of(chunks).blob);
    });
  }

  /** A put and an open of which a write fails, and all after it. */
  async #failStorage(): Promise<void> {
    const table = this.#dice.of(["snapshots", "blobs", "chunks", "placements", "nodes"]);
    await inside(this.tenant, (_object, { storage }) => {
      storage.sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES ('writes', ?)", this.#dice.below(6));
      storage.sql.exec(
        `CREATE TRIGGER fault BEFORE INSERT ON ${table} BEGIN
           UPDATE facts SET value = value - 1 WHERE name = 'writes';
           SELECT RAISE(ABORT, 'disk full') WHERE (SELECT value FROM facts WHERE name = 'writes') < 0;
         END`,
      );
    });
    await this.#put();
    await this.#open();
    await inside(this.tenant, (_object, { storage }) => void storage.sql.exec("DROP TRIGGER fault"));
  }

  async #withoutR2(): Promise<void> {
    const methods = Object.getPrototypeOf(bindings.SNAPSHOTS) as Record<string, () => Promise<never>>;
    for (const method of ["get", "put", "delete"]) vi.spyOn(methods, method).mockRejectedValue(new Error("R2 is down"));
    const safe = this.#known.map(({ isSafe }) => isSafe);
    for (const known of this.#known) known.isSafe = false;
    await this.#open();
    await this.#wait();
    await this.#put();
    vi.restoreAllMocks();
    for (const [at, isSafe] of safe.entries()) if (this.#known[at] !== undefined) this.#known[at].isSafe = isSafe;
  }

  async #deleteAll(): Promise<void> {
    await storeOf(this.tenant).deleteAll();
    for (const known of this.#known.splice(0)) expect(await read(storeOf(this.tenant), known.id)).toMatch(/there is none/);
  }

  async end(): Promise<void> {
    for (const known of this.#known) await this.#check(known, known.tokens.length);
    await this.#deleteAll();
    await runDurableObjectAlarm(objectOf(this.tenant));
    expect(await storeOf(this.tenant).usage()).toMatchObject({ hotBytes: 0, sharedBytes: 0, durableBytes: 0 });
    expect((await bindings.SNAPSHOTS.list({ prefix: this.tenant })).objects).toEqual([]);
    expect((await bindings.PREFIXES.list({ prefix: this.tenant })).keys).toEqual([]);
  }
}

test.each([1, 2])("walk %d", { timeout: 120_000 }, async (seed) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 25) });
  const walk = new Walk(seed);
  for (let step = 0; step < steps; step++) await walk.step();
  await walk.end();
  expect(walk.counts.whole).toBeGreaterThan(steps / 20);
  expect(walk.counts.cut).toBeGreaterThan(0);
  expect(walk.counts.found).toBeGreaterThan(steps / 20);
});
