/** What is deleted leaves the disk: searched for byte by byte in everything that the stack keeps. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bytesAsTokens } from "../../workers/support/tiny-tokenizer.ts";
import { filesWith } from "./persisted.ts";
import { useScriptedStack } from "./stack.ts";

const folder = mkdtempSync(join(tmpdir(), "erasure-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
/** Longer than it takes to look whether a stream's text is there. */
const keepSeconds = 20;
const stack = useScriptedStack({}, { persistTo: folder, keepSeconds });

const authorization = { authorization: `Bearer sk-${crypto.randomUUID()}` };
const post = async (path: string, body: object) => {
  const response = await stack.post(path, body, { headers: authorization });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return (await response.json()) as { readonly id: string };
};
const remove = async (path: string, status = 204) => {
  expect((await fetch(`${stack.url}${path}`, { method: "DELETE", headers: authorization })).status).toBe(status);
};
const say = async (session: string | undefined, content: string) =>
  await post("/v1/chat/completions", {
    model: "tiny",
    messages: [{ role: "user", content }],
    max_tokens: 40,
    ...(session === undefined ? {} : { session_id: session }),
  });

/** As text, and as the tokens that the tiny model reads: a byte each. */
const formsOf = (marker: string) => [Buffer.from(marker), Buffer.from(Uint32Array.from(bytesAsTokens(marker)).buffer)];
const kept = (marker: string) => formsOf(marker).map((bytes) => filesWith(folder, bytes).length > 0);
/** A log of changes goes with its object, ten seconds after the last call to it; a stream's text at the second look of its object. */
const gone = async (marker: string) => {
  await expect.poll(() => formsOf(marker).flatMap((bytes) => filesWith(folder, bytes)), { timeout: 110_000, interval: 1_000 }).toEqual([]);
};

test(
  "turns that are taken back, names that are changed, streams that have expired, sessions and documents that are deleted",
  { timeout: 240_000 },
  async () => {
    const long = (marker: string) => `${marker} `.repeat(25);
    await stack.use({ reply: bytesAsTokens("answer-gone-1 ".repeat(2)) });
    const { id } = await post("/v1/sessions", { model: "tiny", name: "name-gone-1" });
    await say(id, long("stays-one"));
    for (const text of [long("turn-gone-1"), "turn-gone-1", long("turn-gone-1")]) await say(id, text);
    const { id: other } = await post("/v1/sessions", { model: "tiny", name: "name-gone-2" });
    await say(other, long("session-gone-1"));
    const share = await post(`/v1/sessions/${other}/share`, {});
    const uploaded = await fetch(`${stack.url}/v1/contexts?model=tiny&name=name-gone-3`, {
      method: "POST",
      headers: { ...authorization, "content-type": "text/plain" },
      body: "document-gone-1 ".repeat(700),
    });
    const { id: book } = (await uploaded.json()) as { readonly id: string };
    // What is asked without a session is kept as tokens only.
    await say(undefined, long("stream-gone-1"));
    const respond = (input: string, previous?: string) =>
      post("/v1/responses", { model: "tiny", max_output_tokens: 40, input, previous_response_id: previous });
    const first = await respond(long("stays-two"));
    const second = await respond(long("response-gone-1"), first.id);
    const third = await respond(long("response-gone-2"));
    expect(kept("stream-gone-1")).toEqual([false, true]);
    for (const marker of ["turn-gone-1", "session-gone-1", "document-gone-1", "response-gone-1", "response-gone-2"])
      expect(kept(marker)).toEqual([true, true]);
    for (const name of ["name-gone-1", "name-gone-2", "name-gone-3", "answer-gone-1"]) expect(kept(name)[0]).toBe(true);

    await post(`/v1/sessions/${id}/rewind`, { turn: 1 });
    await fetch(`${stack.url}/v1/sessions/${id}`, {
      method: "PATCH",
      headers: { ...authorization, "content-type": "application/json" },
      body: JSON.stringify({ name: "name-stays" }),
    });
    await remove(`/v1/shares/${share.id}`);
    await remove(`/v1/sessions/${other}`);
    await remove(`/v1/contexts/${book}`);
    for (const { id: response } of [second, third]) await remove(`/v1/responses/${response}`, 200);
    for (const marker of ["turn-gone-1", "session-gone-1", "document-gone-1", "stream-gone-1", "name-gone-1", "name-gone-2", "name-gone-3"])
      await gone(marker);
    for (const marker of ["response-gone-1", "response-gone-2"]) await gone(marker);
    for (const marker of ["stays-one", "stays-two"]) expect(kept(marker)).toEqual([true, true]);
    expect(kept("name-stays")[0]).toBe(true);
  },
);
