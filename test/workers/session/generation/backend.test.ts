/** What the session Worker asks of the engine beside what a conversation needs. */
import { describe, expect, test } from "vitest";
import type { GenerateRequest, GenerationBackend } from "../../../../workers/contracts/engine.ts";
import { engineOf } from "../../../../workers/session/generation/backend.ts";
import { greedy } from "../../../contract/generation.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";

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

const plain: GenerateRequest = { ...greedy([1]), model: versionOf(tinyManifest) };
const saving: GenerateRequest = { ...plain, save: { at: [2], end: true, fromPage: 0 } };

describe("STATE_RECURRENT", () => {
  test.each([undefined, "f32"])("%s leaves every request as it is", async (type) => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, ...(type === undefined ? {} : { STATE_RECURRENT: type }) });
    for (const request of [saving, plain]) await asking.generate(request);
    expect(asked).toEqual([saving, plain]);
  });

  test("bf16 lets saved states be rounded", async () => {
    const { asked, ENGINE } = engine();
    const asking = engineOf({ ENGINE, STATE_RECURRENT: "bf16" });
    for (const request of [saving, plain]) await asking.generate(request);
    expect(asked).toEqual([{ ...saving, save: { at: [2], end: true, fromPage: 0, recurrent: "bf16" } }, plain]);
  });

  test("anything else is named", () => {
    expect(() => engineOf({ ENGINE: engine().ENGINE, STATE_RECURRENT: "f16" })).toThrow(
      'STATE_RECURRENT: it must be one of f32, bf16; it is "f16"',
    );
  });
});
