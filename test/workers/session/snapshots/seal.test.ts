/** A sealed chunk opens as what it is, for whom it is, whole, and not otherwise. */
import { describe, expect, test } from "vitest";
import { SealBroken, Sealer, type ChunkContext } from "../../../../workers/session/snapshots/seal/seal.ts";
import { pageName } from "../../../../workers/session/snapshots/blobs/page-names.ts";
import { TenantKeys } from "../../../../workers/session/snapshots/seal/tenant-keys.ts";
import { identity } from "./support.ts";

const secret = (byte: number) => btoa(String.fromCharCode(...new Uint8Array(32).fill(byte)));
const [oldKeys, newKeys, rotatedKeys] = [`1:${secret(1)}`, `2:${secret(2)}`, `2:${secret(2)},1:${secret(1)}`];
const sealer = (secrets: string, tenant = "alice") => new Sealer(new TenantKeys(secrets, tenant), tenant);
const context: ChunkContext = { kind: "page", name: "n", identity, tokens: "0:1:7", number: 1, count: 3 };
const plain = new TextEncoder().encode("rows of tokens");

test("opens as what it was sealed as, and twice the same is never the same", async () => {
  const [one, other] = [await sealer(oldKeys).seal(plain, context), await sealer(oldKeys).seal(plain, context)];
  expect(await sealer(oldKeys).open(one, context)).toEqual(plain);
  expect(one).not.toEqual(other);
  expect(new TextDecoder("latin1").decode(one)).not.toContain("rows");
});

test.each<[string, Partial<ChunkContext>]>([
  ["kind", { kind: "head" }],
  ["name", { name: "m" }],
  ["model", { identity: { ...identity, model: "ff".repeat(32) } }],
  ["tokenizer", { identity: { ...identity, tokenizer: "ff".repeat(32) } }],
  ["tokens", { tokens: "0:1:15" }],
  ["number", { number: 0 }],
  ["count", { count: 2 }],
])("does not open as of another %s", async (_field, change) => {
  const sealed = await sealer(oldKeys).seal(plain, context);
  await expect(sealer(oldKeys).open(sealed, { ...context, ...change })).rejects.toBeInstanceOf(SealBroken);
});

test("does not open for another tenant, or under another secret", async () => {
  const sealed = await sealer(oldKeys).seal(plain, context);
  await expect(sealer(oldKeys, "mallory").open(sealed, context)).rejects.toBeInstanceOf(SealBroken);
  await expect(sealer(`1:${secret(3)}`).open(sealed, context)).rejects.toBeInstanceOf(SealBroken);
});

test("does not open with any bit flipped, cut or extended", async () => {
  const sealed = await sealer(oldKeys).seal(plain, context);
  const changed = Array.from(sealed, (byte, at) => sealed.with(at, byte ^ (1 << (at % 8))));
  for (const chunk of [...changed, sealed.subarray(0, sealed.length - 1), sealed.subarray(0, 20), Uint8Array.from([...sealed, 0])])
    await expect(sealer(oldKeys).open(chunk, context)).rejects.toBeInstanceOf(SealBroken);
});

describe("rotation", () => {
  test("seals under the newest key and opens what older ones sealed, as long as they are there", async () => {
    const old = await sealer(oldKeys).seal(plain, context);
    const now = await sealer(rotatedKeys).seal(plain, context);
    expect(await sealer(rotatedKeys).open(old, context)).toEqual(plain);
    expect(await sealer(newKeys).open(now, context)).toEqual(plain);
    await expect(sealer(newKeys).open(old, context)).rejects.toThrow("key version 1 is not set");
    await expect(sealer(oldKeys).open(now, context)).rejects.toThrow("key version 2 is not set");
  });

  test.each([
    [undefined, /STATE_KEYS must be set where states are kept; it is not set\./],
    ["", /STATE_KEYS must be set where states are kept; it is not set\./],
    [secret(1), /^STATE_KEYS must be keys, each VERSION:BASE64 of 32 bytes/],
    [`1:${btoa("short")}`, /each VERSION:BASE64 of 32 bytes/],
    [`1:${secret(1)},1:${secret(2)}`, /^STATE_KEYS must have each version once/],
  ])("refuses %o, and tells no secret", (secrets, message) => {
    const make = () => new TenantKeys(secrets, "alice");
    expect(make).toThrow(message);
    expect(make).not.toThrow(secret(1));
  });
});

test("equal pages of one tenant have one name; of another tenant, model or place another", async () => {
  const place = { identity, layout: "l", group: 0, page: 1, mask: 7 };
  const keys = new TenantKeys(oldKeys, "alice");
  const name = await pageName(keys, place, plain);
  expect(await pageName(new TenantKeys(oldKeys, "alice"), place, plain)).toBe(name);
  const others = await Promise.all([
    pageName(new TenantKeys(oldKeys, "mallory"), place, plain),
    pageName(keys, { ...place, page: 2 }, plain),
    pageName(keys, { ...place, mask: 15 }, plain),
    pageName(keys, { ...place, identity: { ...identity, model: "ff".repeat(32) } }, plain),
    pageName(keys, place, plain.subarray(1)),
  ]);
  expect(new Set([name, ...others]).size).toBe(6);
});
