/** What the session Worker asks of the pool beside what a conversation needs. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest } from "../../../../workers/contracts/engine.ts";
import type { PlacementWishes, PoolBackend } from "../../../../workers/contracts/pool.ts";
import { askPool, shareOf } from "../../../../workers/session/generation/pool.ts";
import { greedy } from "../../../contract/generation.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";

function pool() {
  const asked: GenerateRequest[] = [];
  const wished: PlacementWishes[] = [];
  const binding = {
    run: (request: GenerateRequest, wishes: PlacementWishes) => {
      asked.push(request);
      wished.push(wishes);
      return Promise.resolve({ ok: true, value: { placed: { backend: "a", kind: "vllm", reasons: [] }, events: new ReadableStream() } });
    },
  } as unknown as PoolBackend;
  return { asked, wished, POOL: binding };
}

const plain: GenerateRequest = { ...greedy([1]), model: versionOf(tinyManifest) };
const saving: GenerateRequest = { ...plain, save: { at: [2], end: true, fromPage: 0 } };
const nobody = { tenant: null, priority: "interactive", session: null, place: null } as const;
const text = { beginning: Uint32Array.of(1), avoid: [], ranAt: null, signal: new AbortController().signal };
const named = { share: null, priority: "interactive" } as const;

describe("STATE_RECURRENT", () => {
  test.each([undefined, "f32"])("%s leaves states as they are", async (type) => {
    const { asked, POOL } = pool();
    const asking = askPool({ POOL, ...(type === undefined ? {} : { STATE_RECURRENT: type }) }, nobody);
    for (const request of [saving, plain]) await asking(request, text);
    expect(asked).toEqual([saving, plain].map((request) => ({ ...request, ...named })));
  });

  test("bf16 lets saved states be rounded", async () => {
    const { asked, POOL } = pool();
    const asking = askPool({ POOL, STATE_RECURRENT: "bf16" }, nobody);
    for (const request of [saving, plain]) await asking(request, text);
    expect(asked).toEqual([
      { ...saving, save: { at: [2], end: true, fromPage: 0, recurrent: "bf16" }, ...named },
      { ...plain, ...named },
    ]);
  });

  test("anything else is named", () => {
    expect(() => askPool({ POOL: pool().POOL, STATE_RECURRENT: "f16" }, nobody)).toThrow(
      'STATE_RECURRENT must be one of f32, bf16; it is "f16"',
    );
  });
});

describe("the share", () => {
  const tenants = ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdee"] as const;

  test("is the same for all that a tenant asks, another for another, and nobody's for nobody", async () => {
    const { asked, POOL } = pool();
    for (const tenant of [tenants[0], tenants[0], tenants[1], null])
      await askPool({ POOL }, { ...nobody, tenant, priority: "background" })(plain, text);
    const shares = asked.map(({ share }) => share);
    expect(shares[0]).toMatch(/^[0-9a-f]{32}$/);
    expect([shares[1], shares[3]]).toEqual([shares[0], null]);
    expect(shares[2]).not.toBe(shares[0]);
    expect(asked.map(({ priority }) => priority)).toEqual(["background", "background", "background", "background"]);
  });

  test("does not tell the tenant", async () => {
    const share = await shareOf(tenants[0]);
    for (const part of [tenants[0], tenants[0].slice(0, 8)]) expect(share).not.toContain(part);
  });
});

describe("wishes", () => {
  const tenants = ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdee"] as const;
  const page = Uint32Array.from({ length: 32 }, (_unused, at) => at);
  const beginning = Uint32Array.from([...page, 99]);

  async function affinity(tenant: string | null, session: string | null, tokens: Uint32Array): Promise<string | null | undefined> {
    const { wished, POOL } = pool();
    await askPool({ POOL }, { ...nobody, tenant, session })(plain, { ...text, beginning: tokens });
    return wished[0]?.affinity;
  }

  test("texts of a tenant that begin with the same page go together, and nobody else's with them", async () => {
    const mine = await affinity(tenants[0], null, beginning);
    expect(mine).toMatch(/^[0-9a-f]{32}$/);
    expect(await affinity(tenants[0], null, page)).toBe(mine);
    expect(await affinity(tenants[1], null, page)).not.toBe(mine);
    expect(await affinity(tenants[0], null, page.with(31, 7))).not.toBe(mine);
    expect(await affinity(tenants[0], null, page.subarray(1))).toBeNull();
    expect(await affinity(null, null, beginning)).toBeNull();
  });

  test("turns of a session go together, whatever they say; the pool is not told which session", async () => {
    const mine = await affinity(tenants[0], "sess_a", page);
    expect(await affinity(tenants[0], "sess_a", Uint32Array.of(5))).toBe(mine);
    expect(await affinity(tenants[0], "sess_b", page)).not.toBe(mine);
    expect(await affinity(tenants[1], "sess_a", page)).not.toBe(mine);
    expect(mine).not.toContain("sess_a");
  });

  test("what is to be avoided, and where the request came in, are passed on", async () => {
    const { wished, POOL } = pool();
    await askPool({ POOL }, { ...nobody, place: "FRA" })(plain, { ...text, beginning, avoid: ["a", "b"] });
    expect(wished).toEqual([{ affinity: null, stateAt: null, avoid: ["a", "b"], place: "FRA", hedge: false }]);
  });

  test("the state is where the text was last read: for an answer's next part where the last one ran", async () => {
    const { wished, POOL } = pool();
    for (const ranAt of [null, "b"]) await askPool({ POOL }, { ...nobody, stateAt: "a" })(plain, { ...text, ranAt });
    expect(wished.map(({ stateAt }) => stateAt)).toEqual(["a", "b"]);
  });
});
