/** The whole stack over a model in three stages, one of which ends in mid-stream: the answers and state files of the stack whose engine has the whole model. */
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { capture } from "../../infra/local/run.ts";
import { shardsOfStages } from "../../infra/local/stages/shards.ts";
import type { ModelManifest } from "../../workers/contracts/model-files.ts";
import { modelId, stackUrl } from "../support/edge-client.ts";
import { startStagedStack, type StagedStack } from "../support/staged-stack.ts";
import { evenCuts } from "../workers/engine/even-cuts.ts";

const stages = 3;
const folder = "engine-in-stages";
const key = `sk-${crypto.randomUUID()}`;
let [stack, kept]: [StagedStack | undefined, string] = [undefined, ""];

/** The model that is here, with a plan of stages that it would not need. */
async function cutModel(): Promise<void> {
  const from = inRepository("dist/engine/model");
  const to = inRepository(`dist/${folder}/model`);
  rmSync(inRepository(`dist/${folder}`), { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(from, "manifest.json"), "utf8")) as ModelManifest;
  for (const { file } of manifest.shards) linkSync(join(from, file), join(to, file));
  const layers = manifest.form.layers.reduce((sum, { count }) => sum + count, 0);
  const tokenizer = readFileSync(inRepository("dist/models/model/tokenizer.json"), "utf8");
  const vocabulary = (JSON.parse(tokenizer) as { readonly tokens: readonly string[] }).tokens.length;
  const cuts = evenCuts(2 * layers, vocabulary, stages);
  const read = await shardsOfStages(from, manifest.shards, cuts);
  writeFileSync(join(to, "manifest.json"), JSON.stringify({ ...manifest, stages: cuts, shardsOfStages: read }));
}

beforeAll(async () => {
  await cutModel();
  kept = mkdtempSync(join(tmpdir(), "spikingbrain-stages-"));
  // Its passes of the four answers' first tokens.
  const ends = { stage: 2, afterPasses: [20] };
  stack = await startStagedStack({ stepsAtOnce: 0, hopMilliseconds: 0, folder, persistTo: join(kept, "objects"), ends });
}, 240_000);

afterAll(async () => {
  await stack?.stop();
  for (const path of [kept, inRepository(`dist/${folder}`)]) rmSync(path, { recursive: true, force: true });
});

async function post<T>(url: string, path: string, body: object): Promise<T> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

async function say(url: string, content: string, changes: object): Promise<string> {
  const body = { model: modelId, temperature: 0, messages: [{ role: "user", content }], ...changes };
  const { choices } = await post<{ choices: [{ message: { content: string } }] }>(url, "/v1/chat/completions", body);
  return choices[0].message.content;
}

test("answers of many streams while a stage ends are those of the whole model", async () => {
  const answers = (url: string): Promise<string[]> =>
    Promise.all(["Paris", "rain", "bread", "the moon"].map((topic) => say(url, `Tell me about ${topic}.`, { max_tokens: 24 })));
  const url = stack?.url ?? "";
  expect(await answers(url)).toEqual(await answers(stackUrl));
  expect(stack?.stagesLost()).toHaveLength(1);
});

test("a session's state file is the same bytes, and each is read by the other", async () => {
  const state = async (url: string, name: string): Promise<Buffer> => {
    const { id } = await post<{ id: string }>(url, "/v1/sessions", { model: modelId });
    await say(url, "Tell me about Paris.", { session_id: id, max_tokens: 8 });
    await say(url, "And its river?", { session_id: id, max_tokens: 8 });
    const [file, bytes] = [join(kept, `${name}.sbsf`), join(kept, `${name}.sbst`)];
    await snapshot("export", id, file, "--url", url, "--key", key);
    await snapshot("open", file, "--out", bytes);
    return readFileSync(bytes);
  };
  const [cut, whole] = [await state(stack?.url ?? "", "cut"), await state(stackUrl, "whole")];
  expect(cut.equals(whole)).toBe(true);
});

async function snapshot(...words: string[]): Promise<void> {
  const passphrase = join(kept, "passphrase");
  writeFileSync(passphrase, "sesam öffne dich\n");
  const { status, output } = await capture(process.execPath, [
    "infra/node/spikingbrain.mjs",
    "snapshot",
    ...words,
    "--passphrase-file",
    passphrase,
  ]);
  if (status !== 0) throw new Error(output);
}
