/** A conversation between the server's session file and the engine in the browser: what came goes back whole, with what was added here. */
import { expect, it } from "vitest";
import { readFileHeader } from "../../../workers/session-file/header.ts";
import { opened, sealed } from "../../../workers/page/device/moving.ts";
import type { Remembered } from "../../../workers/page/device/conversation.ts";

const [model, tokenizer] = ["a".repeat(64), "b".repeat(64)];
const remembered = (more: Partial<Remembered>): Remembered => ({
  ...{ id: "x", model, tokenizer, updated: 0, states: [{ tokens: 2, bytes: Uint8Array.of(1, 2, 3) }], tokens: Uint32Array.of(7, 8, 9) },
  turns: [
    {
      ...{ number: 1, tokens: 3, finish: "stop" as const, created: 5 },
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "one" },
      ],
    },
  ],
  ...more,
});

it.each([
  ["plain", {}, 1],
  ["with what it begins with", { opening: '{"instructions":"Be brief.","tools":[{"parameters":{"maximum":9223372036854775807}}]}' }, 3],
] as const)("a conversation comes back as it went: %s", async (_, more, version) => {
  const before = remembered(more);
  const { file, answers } = await sealed(before, { name: "n", passphrase: "p" });
  expect(answers).toEqual([{ turn: 1, text: "one", finish: "stop" }]);
  expect(new DataView(await file.arrayBuffer()).getUint32(4, true)).toBe(version);
  expect(await readFileHeader(file.stream())).toMatchObject({ model, tokenizer, tokens: 3 });
  const after = await opened({ conversation: "x", file, passphrase: "p" }, { model, tokenizer });
  expect({ ...after, updated: 0 }).toEqual(before);
  await expect(opened({ conversation: "x", file, passphrase: "q" }, { model, tokenizer })).rejects.toMatchObject({
    failure: { code: "snapshot_sealed" },
  });
  await expect(opened({ conversation: "x", file, passphrase: "p" }, { model: tokenizer, tokenizer })).rejects.toMatchObject({
    failure: { kind: "device" },
  });
});
