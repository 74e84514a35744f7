/** A shared session in pages, as one object. */
import { expect, test } from "vitest";
import type { SharedSession } from "../../../workers/contracts/session.ts";
import { sharedStream } from "../../../workers/gateway/http/shared-stream.ts";

const page = (numbers: readonly number[], hasMore: boolean): SharedSession => ({
  ...{ name: 'A "name"', model: "tiny", tokens: 9, stateBytes: 7, expires: 1_700_000_000 },
  turns: numbers.map((number) => ({
    ...{ number, tokens: number, finish: "stop", created: 1_700_000_000, stream: "" },
    messages: [{ role: "user", content: `turn ${String(number)}` }],
  })),
  hasMore,
});

async function read(pages: readonly SharedSession[]): Promise<{ text: string; asked: number[] }> {
  const asked: number[] = [];
  const next = (after: number) => {
    const found = pages[asked.push(after)];
    return found === undefined ? Promise.reject(new Error("the share has ended")) : Promise.resolve(found);
  };
  return { text: await new Response(sharedStream(pages[0] as SharedSession, next)).text(), asked };
}

test.each<[string, SharedSession[], number[], number[]]>([
  ["nothing said", [page([], false)], [], []],
  ["one page", [page([1, 2], false)], [1, 2], []],
  ["three pages", [page([0, 1], true), page([2], true), page([3, 4], false)], [0, 1, 2, 3, 4], [1, 2]],
])("%s", async (_name, pages, numbers, after) => {
  const { text, asked } = await read(pages);
  expect(asked).toEqual(after);
  expect(JSON.parse(text)).toEqual({
    ...{ object: "shared_session", name: 'A "name"', model: "tiny", tokens: 9, state_bytes: 7, expires: 1_700_000_000 },
    // Where a turn's answer ran is nobody else's business.
    turns: page(numbers, false).turns.map(({ stream: _stream, ...turn }) => turn),
  });
});

test("a page that does not come breaks it", async () => {
  await expect(read([page([1], true)])).rejects.toThrow("the share has ended");
});
