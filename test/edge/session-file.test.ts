/** A conversation leaves one server as a file, is looked into without one, and goes on elsewhere. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { capture } from "../../infra/local/run.ts";
import { modelId, stackUrl } from "../support/edge-client.ts";

const alice = `sk-${crypto.randomUUID()}`;
const bob = `sk-${crypto.randomUUID()}`;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "session-file-"));
  await writeFile(join(folder, "secret"), "sesam öffne dich\n");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function api<T>(key: string, path: string, body: object): Promise<T> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const response = await fetch(`${stackUrl}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

interface Answer {
  readonly choices: readonly [{ readonly message: { readonly content: string } }];
  readonly usage: { readonly prompt_tokens_details: { readonly cached_tokens: number } };
}

const say = (key: string, session: string, content: string): Promise<Answer> =>
  api(key, "/v1/chat/completions", {
    model: modelId,
    session_id: session,
    messages: [{ role: "user", content }],
    temperature: 0,
    max_tokens: 8,
  });

async function spikingbrain(...words: string[]): Promise<unknown> {
  const { status, output } = await capture(process.execPath, ["infra/node/spikingbrain.mjs", "snapshot", ...words]);
  if (status !== 0) throw new Error(output);
  return JSON.parse(output.trim().split("\n").at(-1) ?? "null");
}

test("exported, opened, verified, imported: it goes on with the words that it would have had", async () => {
  const { id } = await api<{ id: string }>(alice, "/v1/sessions", { model: modelId, name: "Paris" });
  await say(alice, id, "Tell me about Paris.");
  const [file, state, secret] = [
    join(folder, "talk.sbsf"),
    join(folder, "talk.sbst"),
    ["--passphrase-file", join(folder, "secret")],
  ] as const;
  await spikingbrain("export", id, file, "--url", stackUrl, "--key", alice, ...secret);
  expect((await readFile(file)).includes("Paris")).toBe(false);

  expect(await spikingbrain("open", file, ...secret, "--out", state)).toMatchObject({ transcript: { name: "Paris" } });
  expect(await spikingbrain("verify", state)).toMatchObject({ holds: true });

  const imported = (await spikingbrain("import", file, "--url", stackUrl, "--key", bob, ...secret)) as { readonly id: string };
  const [here, there] = [await say(alice, id, "And its river?"), await say(bob, imported.id, "And its river?")];
  expect(there.choices[0].message.content).toBe(here.choices[0].message.content);
  expect(there.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
});
