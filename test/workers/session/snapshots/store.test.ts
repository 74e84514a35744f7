/** What is put comes out again, whole or cut, and is found by its tokens. */
import { describe, expect, test } from "vitest";
import { stateFile } from "../../support/state-files.ts";
import { compare, find, hybrid, newTenant, put, randomTokens, read, storeOf, stored, windowed } from "./support.ts";

describe.each([
  ["windows", windowed],
  ["all of the past", hybrid],
])("a model with %s", (_name, shape) => {
  test.each([1, 31, 32, 33, 39, 40, 41, 64, 95, 96, 97, 130])("gives back a state of %d tokens", async (count) => {
    const tenant = newTenant();
    const tokens = randomTokens(count, count);
    const { id, fileBytes } = stored(await put(tenant, tokens, { shape }));
    const file = stateFile(shape, tokens);
    expect(fileBytes).toBe(file.length);
    expect(compare(await read(storeOf(tenant), id), file)).toBe("same");
  });

  test.each([1, 2, 3, 4, 9])("leaves out the rows of pages before page %d, for a reader that has them", async (fromPage) => {
    const tenant = newTenant();
    const tokens = randomTokens(130, 130);
    const { id } = stored(await put(tenant, tokens, { shape }));
    expect(compare(await read(storeOf(tenant), id, Infinity, fromPage), stateFile(shape, tokens, fromPage))).toBe("same");
  });

  test("goes on from a state with the new pages only", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(260, 5);
    let parent: string | null = null;
    let from = 0;
    for (const count of [20, 40, 45, 100, 101, 260]) {
      const fromPage: number = Math.floor(from / 32);
      parent = stored(await put(tenant, tokens.subarray(0, count), { shape, parent, fromPage })).id;
      expect(compare(await read(storeOf(tenant), parent), stateFile(shape, tokens.subarray(0, count)))).toBe("same");
      from = count;
    }
  });
});

test("rows are shared with a state whose recurrent part has another type", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(200, 15);
  const rounded = { ...windowed, recurrent: 1, headBytes: windowed.headBytes / 2 };
  const first = stored(await put(tenant, tokens.subarray(0, 100)));
  const second = stored(await put(tenant, tokens, { shape: rounded, parent: first.id, fromPage: 3 }));
  expect(compare(await read(storeOf(tenant), second.id), stateFile(rounded, tokens))).toBe("same");
  expect(compare(await read(storeOf(tenant), first.id), stateFile(windowed, tokens.subarray(0, 100)))).toBe("same");
});

test("a state that has lost nothing is cut to any earlier position", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(39, 6);
  const { id } = stored(await put(tenant, tokens));
  for (const keep of [1, 20, 32, 38])
    expect(compare(await read(storeOf(tenant), id, keep), stateFile(windowed, tokens.subarray(0, keep)))).toBe("same");
  const lossy = stored(await put(tenant, randomTokens(41, 6)));
  expect(await read(storeOf(tenant), lossy.id, 40)).toMatch(/keep: it must be 41 at least/);
});

test("what a turn writes is its own tokens and the head, however long the conversation is", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(2_000, 7);
  const written: number[] = [];
  let parent: string | null = null;
  for (let count = 200; count <= 2_000; count += 100) {
    const fromPage: number = parent === null ? 0 : Math.floor((count - 100) / 32);
    const snapshot = stored(await put(tenant, tokens.subarray(0, count), { parent, fromPage }));
    parent = snapshot.id;
    if (fromPage > 0) written.push(snapshot.writtenBytes);
  }
  // 100 tokens and at most 31 of a page that had begun, of which each window sees what it sees; seals, and the head.
  const most = 3_000 + 131 * (24 + 10) + 20 * 32;
  expect(Math.max(...written)).toBeLessThan(most);
});

test("equal pages are stored once, a begun one until a fuller one stands for it", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(38, 8);
  const first = stored(await put(tenant, tokens.subarray(0, 35)));
  const before = (await storeOf(tenant).usage()).hotBytes;
  const fork = stored(await put(tenant, tokens.subarray(0, 35), { isFindable: false, owner: "session:a:1" }));
  expect(fork.writtenBytes).toBeLessThan(300);
  await storeOf(tenant).release("session:a:");
  expect((await storeOf(tenant).usage()).hotBytes).toBe(before);
  const second = stored(await put(tenant, tokens, { parent: first.id, fromPage: 1 }));
  // One head more, and three rows of each group.
  expect((await storeOf(tenant).usage()).hotBytes - before).toBeLessThan(300 + 3 * 34);
  expect(compare(await read(storeOf(tenant), first.id), stateFile(windowed, tokens.subarray(0, 35)))).toBe("same");
  expect(compare(await read(storeOf(tenant), second.id), stateFile(windowed, tokens))).toBe("same");
});

describe("find", () => {
  test("names what the text begins with, longest first, and what can be cut to it", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(400, 9);
    const ids = new Map<number, string>();
    for (const count of [39, 100, 230]) ids.set(count, stored(await put(tenant, tokens.subarray(0, count))).id);
    const { candidates } = await find(tenant, tokens);
    expect(candidates.map(({ id, tokens: read, commonPages }) => [id, read, commonPages])).toEqual([
      [ids.get(230), 230, 7],
      [ids.get(100), 100, 3],
      [ids.get(39), 39, 1],
    ]);
    const edited = Uint32Array.from(tokens.with(36, 1));
    expect((await find(tenant, edited)).candidates).toMatchObject([{ id: ids.get(39), commonPages: 1, cuttable: true }]);
    expect((await find(tenant, randomTokens(400, 10))).candidates).toEqual([]);
  });

  test("of a long prefix in common, the one that can be cut to it", async () => {
    const tenant = newTenant();
    const { id } = stored(await put(tenant, randomTokens(200, 11), { shape: { ...windowed, groups: [{ window: 0, tokenBytes: 8 }] } }));
    const other = Uint32Array.from([...randomTokens(200, 11).subarray(0, 150), ...randomTokens(100, 12)]);
    expect((await find(tenant, other)).candidates).toMatchObject([{ id, tokens: 200, commonPages: 4, cuttable: true }]);
  });

  test("says from the third time on where saving pays, and no more once it is saved", async () => {
    const tenant = newTenant();
    const prefix = randomTokens(300, 13);
    const ask = async (seed: number) => (await find(tenant, Uint32Array.from([...prefix, ...randomTokens(200, seed)]))).worthSaving;
    expect([await ask(20), await ask(21), await ask(22)]).toEqual([null, null, 288]);
    stored(await put(tenant, prefix.subarray(0, 288)));
    expect(await ask(23)).toBeNull();
  });

  test("is not led astray by what went", async () => {
    const tenant = newTenant();
    const tokens = randomTokens(39, 14);
    const { id } = stored(await put(tenant, tokens, { owner: "session:b:1", isFindable: true }));
    await storeOf(tenant).release("session:b:");
    expect((await find(tenant, tokens)).candidates).toMatchObject([{ id }]);
    await storeOf(tenant).deleteAll();
    expect((await find(tenant, tokens)).candidates).toEqual([]);
    expect(await read(storeOf(tenant), id)).toMatch(/there is none with this id/);
  });
});

describe("put refuses", () => {
  const tokens = randomTokens(50, 15);
  const file = stateFile(windowed, tokens);
  test.each([
    ["a file that is cut", { file: file.subarray(0, file.length - 1) }, /must have \d+ bytes; it has \d+/],
    ["a file with more behind it", { file: Uint8Array.from([...file, 0]) }, /more bytes than its header says/],
    ["something else", { file: new Uint8Array(500) }, /magic must be SBST/],
    ["another version", { file: file.with(4, 2) }, /version must be 3; it is 2/],
    ["another model's", { shape: { ...windowed, model: "ee".repeat(32) } }, /model must be abab/],
    ["another length", { file: stateFile(windowed, tokens.subarray(1)) }, /number of tokens must be 50; it is 49/],
    ["pages without a parent", { fromPage: 1 }, /fromPage: it must be an integer from 0 to 0; it is 1/],
    ["a parent that is gone", { fromPage: 1, parent: "gone" }, /parent: it must be a snapshot of the same model; it is gone/],
    ["a stream that breaks", { breakAfter: 1_000 }, /store of states failed/],
  ])("%s, and keeps nothing of it", async (_name, options, message) => {
    const tenant = newTenant();
    const outcome = await put(tenant, tokens, options);
    expect(outcome).toMatchObject({ ok: false, failure: { message: expect.stringMatching(message) as string } });
    expect((await storeOf(tenant).usage()).hotBytes).toBe(0);
    expect((await find(tenant, tokens)).candidates).toEqual([]);
  });
});

test("chunks are at most 1 MiB", async () => {
  const tenant = newTenant();
  const { id } = stored(await put(tenant, randomTokens(70, 16), { shape: hybrid }));
  const outcome = await storeOf(tenant).open(id, 70);
  if (!outcome.ok) throw new Error(outcome.failure.message);
  for await (const chunk of outcome.value.bytes as unknown as AsyncIterable<Uint8Array>) expect(chunk.length).toBeLessThanOrEqual(1 << 20);
});

test("two that write the same at once leave one", async () => {
  const tenant = newTenant();
  const tokens = randomTokens(150, 17);
  const [one, other] = await Promise.all([put(tenant, tokens), put(tenant, tokens)]);
  expect(stored(one).id).toBe(stored(other).id);
  expect((await find(tenant, tokens)).candidates).toHaveLength(1);
  expect(compare(await read(storeOf(tenant), stored(one).id), stateFile(windowed, tokens))).toBe("same");
});
