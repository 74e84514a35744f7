/** What the session Worker asks of the engine beside what a conversation needs. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest, GenerationBackend } from "../../../../workers/contracts/engine.ts";
import { engineOf, shareOf } from "../../../../workers/session/generation/backend.ts";
import { greedy } from "../../../contract/generation.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";

function engine() {
  const asked: GenerateRequest[] = [];
  const binding = {
    generate: (request: GenerateRequest) => {
      asked.push(request);
      return Promise.resolve({ ok: true, value: new ReadableStream() });
    },
  } as unknown as GenerationBackend;
  return { asked, ENGINE: binding };
}

const plain: GenerateRequest = { ...greedy([1]), model: versionOf(tinyManifest) };
const saving: GenerateRequest = { ...plain, save: { at: [2], end: true, fromPage: 0 } };
const nobody = { tenant: null, priority: "interactive" } as const;
const named = { share: null, priority: "interactive" } as const;

describe("STATE_RECURRENT", () => {
  test.each([undefined, "f32"])("%s leaves states as they are", async (type) => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, ...(type === undefined ? {} : { STATE_RECURRENT: type }) }, nobody);
    for (const request of [saving, plain]) await asking.generate(request);
    expect(asked).toEqual([saving, plain].map((request) => ({ ...request, ...named })));
  });

  test("bf16 lets saved states be rounded", async () => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, STATE_RECURRENT: "bf16" }, nobody);
    for (const request of [saving, plain]) await asking.generate(request);
    expect(asked).toEqual([
      { ...saving, save: { at: [2], end: true, fromPage: 0, recurrent: "bf16" }, ...named },
      { ...plain, ...named },
    ]);
  });

  test("anything else is named", () => {
    expect(() => engineOf({ ENGINE: engine().ENGINE, STATE_RECURRENT: "f16" }, nobody)).toThrow(
      'STATE_RECURRENT must be one of f32, bf16; it is "f16"',
    );
  });
});

describe("the share", () => {
  const tenants = ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdee"] as const;

  test("is the same for all that a tenant asks, another for another, and nobody's for nobody", async () => {
    const { asked, ENGINE } = engine();
    for (const tenant of [tenants[0], tenants[0], tenants[1], null])
      await engineOf({ ENGINE }, { tenant, priority: "background" }).generate(plain);
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
