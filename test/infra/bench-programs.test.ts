import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { equalTokens, mustBeginAlike, mustBeIdentical } from "../bench/engine/agreement.ts";
import { startChild } from "../bench/engine/child-participant.ts";
import type { Participant } from "../bench/engine/participant.ts";
import { promptOf } from "../bench/engine/prompt.ts";
import { processorTime, type ProcessorTime } from "../bench/http/processor-time.ts";
import { streamedTokens, type StreamRequest } from "../bench/http/request.ts";
import { measureSideBySide, sideBySideFloors } from "../bench/engine/side-by-side.ts";
import { readStreams } from "../bench/http/stream-client.ts";
import { SeriesCollector } from "../bench/report/result.ts";
import { suites } from "../bench/suites.ts";
import { benchConfigurations } from "../bench/stack.ts";
import { evenCuts } from "../workers/engine/even-cuts.ts";
import { readWorkers } from "../../infra/deploy/workers.ts";
import { capture } from "../../infra/local/run.ts";
import { inRepository } from "../../infra/local/paths.ts";

// Other programs are started here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const node = (name: string, program: string) => startChild({ name, command: process.execPath, args: ["--eval", program] });

test("a suite that does not exist is refused with the names of those that do", async () => {
  const { status, output } = await capture(process.execPath, [inRepository("infra/local/bootstrap.mjs"), "test/bench/run.ts", "nonsense"]);
  expect(status).toBe(1);
  const names = suites.map(({ name }) => name).join(", ");
  expect(names).toContain("engine, fair, http");
  expect(output).toContain(`'nonsense' is invalid for argument 'suite'. Allowed choices are ${names}.`);
});

test("the stack has a Worker for each stage of the model, and all that they are bound to", () => {
  const workers = (stages: number) =>
    readWorkers(benchConfigurations("real", { stages: stages === 0 ? [] : evenCuts(60, 49_152, stages) }));
  const roles = workers(3).map(({ role }) => role);
  expect(roles).toEqual(expect.arrayContaining(["bench", "session", "pool", "engine", "grammar", "stage-1", "stage-2", "stage-3"]));
  expect(new Set(roles).size).toBe(8);
  const engine = workers(3).find(({ role }) => role === "engine");
  const objects = (engine?.raw.durable_objects?.bindings ?? []).map(({ script_name: script }) => script);
  expect(objects).toEqual([undefined, "spikingbrain-stage-1", "spikingbrain-stage-2", "spikingbrain-stage-3"]);
  // A model that fits in one isolate is the engine Worker's alone.
  expect(workers(0).map(({ role }) => role)).toEqual(roles.filter((role) => !role.startsWith("stage-")));
  for (const { raw, folder } of [...workers(3), ...workers(0)]) {
    expect(existsSync(resolve(folder, raw.main ?? ""))).toBe(true);
    expect(existsSync(resolve(folder, raw.assets?.directory ?? "."))).toBe(true);
  }
});

test("rounds must be a small whole number", async () => {
  const { status, output } = await capture(process.execPath, [
    inRepository("infra/local/bootstrap.mjs"),
    "test/bench/run.ts",
    "engine",
    "--rounds",
    "0",
  ]);
  expect(status).toBe(1);
  expect(output).toContain('--rounds must be an integer from 1 to 100; it is "0"');
});

test("prompts have exactly the length asked for, and shorter ones begin longer ones", () => {
  const characters = { encode: (text: string) => Uint32Array.from(text, (character) => character.charCodeAt(0)) };
  const long = promptOf(characters, 5000);
  expect(long.length).toBe(5000);
  expect(promptOf(characters, 128)).toEqual(long.slice(0, 128));
});

test("several sequences count with all their tokens, and must decode what one alone does", async () => {
  const participant = (name: string, seconds: (sequences: number) => number, token = (_sequences: number) => 7): Participant => ({
    ...{ name, description: "", contextLength: 1000, close: () => Promise.resolve() },
    measure: ({ sequences = 1, decode }) =>
      Promise.resolve({
        ...{ prefillSeconds: 1, decodeSeconds: 1, prefillProcessorSeconds: 1, decodeProcessorSeconds: seconds(sequences) },
        tokens: Array.from({ length: decode }, () => token(sequences)),
      }),
  });
  const collector = new SeriesCollector();
  const native = participant("llama.cpp", (sequences) => sequences);
  const ours = participant("WASM relaxed, Node", (sequences) => (sequences === 1 ? 1 : sequences / 2));
  await measureSideBySide([ours, native], [1, 2], 0, collector, () => undefined);
  expect(sideBySideFloors(collector).map(({ name, measured }) => [name, measured])).toEqual([
    ["total of 4 sequences / 1, WASM relaxed, Node", 2],
    ["total of 4 sequences, WASM relaxed, Node / llama.cpp", 2],
    ["total of 16 sequences / 1, WASM relaxed, Node", 2],
    ["total of 16 sequences, WASM relaxed, Node / llama.cpp", 2],
  ]);
  const wrong = participant("WASM relaxed, Node", () => 1, Number);
  await expect(measureSideBySide([wrong], [1, 2], 0, collector, () => undefined)).rejects.toThrow("decoded different tokens");
});

test("decoded tokens are compared from the start", () => {
  expect([equalTokens([1, 2, 3], [1, 2, 3]), equalTokens([1, 2, 3], [1, 4, 3]), equalTokens([5], [6])]).toEqual([3, 1, 0]);
  const [a, b] = [
    { program: "a", tokens: [1, 2] },
    { program: "b", tokens: [1, 3] },
  ];
  expect(() => {
    mustBeIdentical([a, { ...a, program: "c" }]);
  }).not.toThrow();
  expect(() => {
    mustBeIdentical([a, b]);
  }).toThrow("a and b decoded different tokens: 1 2 and 1 3");
  expect(() => {
    mustBeIdentical([a, { program: "d", tokens: [1, 2, 3] }]);
  }).toThrow("a and d");
  expect(mustBeginAlike(a, b)).toBe(1);
  expect(() => mustBeginAlike(a, { program: "e", tokens: [7] })).toThrow("a goes on with token 1 and e with 7");
});

test("a child answers line by line, and one that dies is named with what it said", async () => {
  const echo = await node(
    "echo",
    `console.log(JSON.stringify({ description: "it", contextLength: 9 }));
     process.stdin.on("data", (line) => console.log(JSON.stringify({ tokens: JSON.parse(line).prompt })));`,
  );
  expect([echo.name, echo.description, echo.contextLength]).toEqual(["echo", "it", 9]);
  expect(await echo.measure({ prompt: [1, 2], decode: 1 })).toEqual({ tokens: [1, 2] });
  await echo.close();
  await expect(node("broken", "console.error('no such model'); process.exit(3)")).rejects.toThrow(
    "broken ended before it answered (status 3): no such model",
  );
});

/** A server that streams so many tokens, and then ends or breaks off. */
async function tokenServer(tokens: number, breaks = false): Promise<string> {
  const server: Server = createServer((_request, response) => {
    for (let token = 0; token < tokens; token += 1) response.write('{"token"');
    if (breaks) setTimeout(() => response.destroy(), 50);
    else response.end("end");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

test("a stream counts only when it comes to its end", async () => {
  const request: StreamRequest = { name: "stream", path: "/", body: {}, tokenMark: '"token"', end: /end$/ };
  const url = await tokenServer(streamedTokens);
  const times = await readStreams(url, request, 2, 5);
  expect(times.firstToken).toBeGreaterThan(0);
  expect(times.furtherToken).toBeGreaterThanOrEqual(0);
  expect(times.tokensPerSecond).toBeGreaterThan(0);
  await expect(readStreams(url, { ...request, end: /another end$/ }, 1, 1)).rejects.toThrow("must match /another end$/");
  await expect(readStreams(await tokenServer(0), request, 1, 1)).rejects.toThrow("status 200");
  await expect(readStreams(await tokenServer(3, true), request, 1, 1)).rejects.toThrow(/\/: the stream broke off \(.+\) after /);
});

/** A child with a child that computes for 0.2 s of processor time, then waits to be looked at; resolves once it waits. */
async function computeBelow(name: string, ...args: readonly string[]): Promise<void> {
  const busy = `const begin = process.cpuUsage(); while (process.cpuUsage(begin).user < 2e5); console.log("done"); setTimeout(() => {}, 60000);`;
  const options = `{ argv0: ${JSON.stringify(name)}, stdio: "inherit" }`;
  const start = `require("child_process").spawn(process.execPath, ${JSON.stringify(["--eval", busy, "--", ...args])}, ${options})`;
  const child = spawn(process.execPath, ["--eval", start], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void process.kill(-(child.pid ?? 0), "SIGKILL"));
  await once(child.stdout, "data");
}

test("processor time is that of everything below this process, the runtime of the Workers apart", async () => {
  const time = (): ProcessorTime => processorTime("http://127.0.0.1:8787") ?? { workers: NaN, wrangler: NaN };
  const before = time();
  await computeBelow("/bin/workerd", "--socket-addr=entry=127.0.0.1:0");
  const between = time();
  expect(between.workers - before.workers).toBeGreaterThan(0.15);
  await computeBelow("/bin/workerd", "--socket-addr=entry=127.0.0.1:8787");
  const after = time();
  expect(after.wrangler - between.wrangler).toBeGreaterThan(0.15);
  expect(after.workers - between.workers).toBeLessThan(0.1);
});
