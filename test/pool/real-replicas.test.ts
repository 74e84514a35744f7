/** `npm run pool` as a person runs it: two real replicas of vLLM register and answer, one is killed in the middle of an answer, which goes on. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { until } from "../../workers/waiting/within.ts";
import { descendants, isAlive } from "../support/processes.ts";
import { freePort } from "../../infra/local/free-port.ts";

/** A replica reads torch, vLLM and its weights: half a minute on a free machine, far more on a busy one. */
const startMilliseconds = 600_000;
const builtIn = { model: "spikingbrain-135m", backend: "vllm spikingbrain-135m-vllm" };
const seven = { model: "spikingbrain-7b", backend: "vllm spikingbrain-7b-vllm" };

let url = "";
let command: ChildProcess;
let output = "";

const said = async (pattern: RegExp): Promise<RegExpExecArray> =>
  await until(
    () => {
      if (command.exitCode !== null) throw new Error(`npm run pool ended:\n${output}`);
      return pattern.exec(output) ?? undefined;
    },
    { milliseconds: startMilliseconds, everyMilliseconds: 200 },
    () => {
      throw new Error(`npm run pool did not say ${String(pattern)}:\n${output}`);
    },
  );

beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${String(port)}`;
  command = spawn(process.execPath, [inRepository("infra/local/bootstrap.mjs"), "infra/local/pool.ts"], {
    cwd: inRepository(),
    env: { ...process.env, PORT: String(port), API_KEYS: "", SPIKES: "", SPIKINGBRAIN_MODEL: "", SPIKINGBRAIN_7B: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [command.stdout, command.stderr]) stream?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  await said(/Ctrl-C stops everything/);
}, startMilliseconds);

afterAll(() => {
  command.kill("SIGTERM");
});

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string }; readonly finish_reason: string | null }[];
  readonly placement?: { readonly backend: string; readonly kind: string; readonly from_token: number };
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly message: string };
}

interface Answer {
  readonly backend: string | null;
  readonly chunks: readonly Chunk[];
  readonly text: string;
  readonly last: string;
}

async function answer(model: string, tokens: number, onDelta: (seen: number) => void = () => undefined): Promise<Answer> {
  const messages = [{ role: "user", content: "Why is the sky blue? Explain at length." }];
  const sampling = { temperature: 0, max_tokens: tokens, ignore_eos: true };
  const body = JSON.stringify({ model, messages, ...sampling, stream: true, placement: true, stream_options: { include_usage: true } });
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(response.status, response.ok ? "" : await response.text()).toBe(200);
  const lines: string[] = [];
  let deltas = 0;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    const parts = (rest + decoder.decode(part as Uint8Array, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      if (!line.startsWith("data: ")) continue;
      lines.push(line.slice("data: ".length));
      if (line.includes('"content":')) onDelta(++deltas);
    }
  }
  const chunks = lines.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line) as Chunk);
  const text = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? "")).join("");
  return { backend: response.headers.get("x-spikingbrain-backend"), chunks, text, last: lines.at(-1) ?? "" };
}

/** One unbroken stream with as many tokens as were asked for. */
function expectWhole({ chunks, last }: Answer, tokens: number): void {
  expect(last).toBe("[DONE]");
  expect(chunks.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(chunks.flatMap(({ choices }) => choices.flatMap(({ finish_reason: reason }) => reason ?? []))).toEqual(["length"]);
  expect(chunks.flatMap(({ usage }) => usage?.completion_tokens ?? [])).toEqual([tokens]);
}

/** In order; what is told again with the first delta counts once. */
const places = ({ chunks }: Answer) => {
  const told = chunks.flatMap(({ placement }) => (placement === undefined ? [] : [JSON.stringify(placement)]));
  return [...new Set(told)].map((text) => JSON.parse(text) as NonNullable<Chunk["placement"]>);
};

test.each([seven, builtIn])(
  "$model answers from its replica",
  async ({ model, backend }) => {
    const found = await answer(model, 24);
    expectWhole(found, 24);
    expect(found.backend).toBe(backend);
    expect(places(found)).toEqual([{ backend: backend.slice("vllm ".length), kind: "vllm", from_token: 0 }]);
  },
  120_000,
);

test(
  "an answer survives the end of its replica, and new ones go to the next",
  async () => {
    const tokens = 160;
    const undisturbed = await answer(builtIn.model, tokens);
    expect(undisturbed.backend).toBe(builtIn.backend);

    const [, pid = ""] = await said(/kill -9 (\d+)/);
    const disturbed = await answer(builtIn.model, tokens, (seen) => {
      if (seen === 20) process.kill(Number(pid), "SIGKILL");
    });
    expectWhole(disturbed, tokens);
    expect(disturbed.backend).toBe(builtIn.backend);
    const [first, second, ...others] = places(disturbed);
    expect([first?.kind, second?.kind, others]).toEqual(["vllm", "engine", []]);
    expect(second?.from_token).toBeGreaterThan(5);
    expect(second?.from_token).toBeLessThan(tokens);
    // What had been said before stays said; the engine computes in int8 from there.
    const kept = disturbed.text.slice(0, 40);
    expect(undisturbed.text.startsWith(kept)).toBe(true);

    // The engine answers in the meantime, and the replica that takes the other's place once it is there.
    const between = await answer(builtIn.model, 4);
    expect(between.backend).toBe("engine engine");
    await said(new RegExp(`\\[${builtIn.model}\\] serves again`));
    await expect.poll(async () => (await answer(builtIn.model, 4)).backend, { timeout: 60_000, interval: 500 }).toBe(builtIn.backend);
  },
  startMilliseconds,
);

test("Ctrl-C ends everything", async () => {
  const started = descendants(command.pid ?? 0);
  expect(started.length).toBeGreaterThan(6);
  const exited = once(command, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  command.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
  await expect.poll(() => started.filter(isAlive), { timeout: 30_000 }).toEqual([]);
  await expect(fetch(`${url}/ready`)).rejects.toThrow();
}, 120_000);
