/** What the session Worker asks of the engine beside what a conversation needs. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest, GenerationBackend } from "../../../../workers/contracts/engine.ts";
import { engineOf } from "../../../../workers/session/generation/backend.ts";
import { greedy } from "../../../contract/generation.ts";

function engine() {
  const asked: GenerateRequest[] = [];
  const ENGINE = {
    generate: (request: GenerateRequest) => {
      asked.push(request);
      return Promise.resolve({ ok: true, value: new ReadableStream() });
    },
  } as unknown as GenerationBackend;
  return { asked, ENGINE };
}

const saving: GenerateRequest = { ...greedy([1, 2]), save: { at: [2], end: true, fromPage: 0 } };

describe("STATE_RECURRENT", () => {
  test.each([undefined, "f32"])("%s leaves every request as it is", async (type) => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, ...(type === undefined ? {} : { STATE_RECURRENT: type }) });
    for (const request of [saving, greedy([1])]) await asking.generate(request);
    expect(asked).toEqual([saving, greedy([1])]);
  });

  test("bf16 lets saved states be rounded", async () => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, STATE_RECURRENT: "bf16" });
    for (const request of [saving, greedy([1])]) await asking.generate(request);
    expect(asked).toEqual([{ ...saving, save: { at: [2], end: true, fromPage: 0, recurrent: "bf16" } }, greedy([1])]);
  });

  test("anything else is named", () => {
    expect(() => engineOf({ ENGINE: engine().ENGINE, STATE_RECURRENT: "f16" })).toThrow(
      'STATE_RECURRENT: it must be one of f32, bf16; it is "f16"',
    );
  });
});
