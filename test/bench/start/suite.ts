/** From nothing to the first token, beside reading the file's bytes and nothing else, and beside llama.cpp. Every start is a process, or a stack of Workers, of its own. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { alternately } from "../alternately.ts";
import { startProcess, type ChildCommand } from "../engine/child-participant.ts";
import { native, ours } from "../engine/participant.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { all, digest, promptToken, type Part, type StartMeasurement } from "./measurement.ts";
import { workerStart } from "./worker-start.ts";

const [bytes, simd128] = ["file's bytes into a memory", "WASM simd128, Node"] as const;
const [mapped, read] = [`${native}, file mapped`, `${native}, file read`] as const;

/** llama.cpp reads the model that the built-in one was converted from; its file is a twentieth smaller. */
const [builtIn, teacher] = ["spikingbrain-135m", "smollm2-135m"] as const;

/** A start may take so many times the reading of the bytes. */
const mostReadings = 1.5;

/** The engine Worker with the model that `npm start` has prepared. */
const inWorkerd = "the prepared model, in workerd";
const [worker, workerFiles, workerDigests] = ["engine Worker", "its files into a memory", "its files into a memory, with digests"] as const;
const firstRequest = "from the first request to the first token";
/** A stack takes much longer to start than the engine in it. */
const workerStarts = 3;

const processorOf = (figure: string): string => `${figure}, processor time`;

const notes = [
  "The file lies in the system's cache. Reading its bytes is: from the file by 1 MiB into one buffer, and from there into a fresh linear memory, whose pages the system hands out at the first touch.",
  "A digest of the file is no part of these starts: `serve` and the Workers make one, which takes what stands under its name.",
  "llama.cpp that maps its file reads a byte when it needs it, and packs some matrices anew while it loads.",
  "No process begins before V8 has compiled in its own threads what loading the modules has made hot.",
  "In workerd: requests by HTTP to a Worker beside the engine Worker, each start a stack of its own under `wrangler dev`; that Worker has its code compiled and reads the same files several times before, the least of which counts. The engine Worker makes each file's digest.",
  "First token: one token is read and the next one chosen. V8 compiles the engine's code for the first time in these parts, and better while it runs.",
];

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupPython("test");
  await setupPython("bench");
  const script = (name: string): string => inRepository(`test/bench/start/${name}`);
  const programsOf = async (setting: string): Promise<readonly Program[]> => {
    const { path } = await locateModel({ SPIKINGBRAIN_MODEL: setting });
    const node = (name: string, ...args: string[]): Program => ({ setting, name, command: process.execPath, args: [...args, path] });
    const both = [node(bytes, script("reading-child.ts")), node(ours, script("engine-child.ts"), "relaxed")];
    if (setting === builtIn) return [...both, node(simd128, script("engine-child.ts"), "simd128")];
    const llama = (name: string, way: string): Program => {
      return {
        setting,
        name,
        command: venvPython,
        args: [inRepository("test/bench/llama/start_child.py"), path, way, String(promptToken)],
      };
    };
    return [...both, llama(mapped, "mapped"), llama(read, "read")];
  };
  const programs = [...(await programsOf(builtIn)), ...(await programsOf(teacher))];
  const collector = new SeriesCollector();
  const descriptions = new Map<string, string>();
  // The first round fills the caches.
  for (let round = -1; round < rounds; round += 1)
    for (const program of alternately(programs, round)) {
      const { description, parts } = await started(program);
      descriptions.set(program.name, description);
      if (round >= 0) addAll(collector, program, parts);
      progress(
        `round ${round + 1}, ${program.setting}, ${program.name}: ${parts.map(({ name, wall }) => `${name} ${(wall * 1000).toFixed(0)} ms`).join(", ")}`,
      );
    }
  for (let start = 0; start < Math.min(workerStarts, rounds); start += 1) {
    const { reading, digests, first } = await workerStart();
    for (const [program, seconds] of [
      [worker, first],
      [workerFiles, reading],
      [workerDigests, digests],
    ] as const)
      collector.add(inWorkerd, firstRequest, "ms", program, seconds * 1000);
    progress(`start ${start + 1} of the engine Worker: ${(first * 1000).toFixed(0)} ms, its files ${(reading * 1000).toFixed(0)} ms`);
  }
  return {
    settings: { rounds, workerStarts, prompt: "1 token" },
    notes: [...[...descriptions].map(([name, text]) => `${name}: ${text}.`), ...notes],
    series: collector.all(),
    comparisons: comparisonsOf(collector),
    floors: floorsOf(collector),
  };
}

interface Program extends ChildCommand {
  readonly setting: string;
}

/** The one line that it writes. */
async function started(program: ChildCommand): Promise<StartMeasurement> {
  const child = await startProcess<StartMeasurement, never, never>(program);
  await child.close();
  return child.greeting;
}

function addAll(collector: SeriesCollector, { setting, name: program }: Program, parts: readonly Part[]): void {
  const counted = parts.filter(({ name }) => name !== digest);
  const sum = (of: "wall" | "processor") => counted.reduce((total, part) => total + part[of], 0);
  const shown = counted.length > 1 ? parts : parts.filter(({ name }) => name === digest);
  for (const { name, wall, processor } of [...shown, { name: all, wall: sum("wall"), processor: sum("processor") }]) {
    collector.add(setting, name, "ms", program, wall * 1000);
    collector.add(setting, processorOf(name), "ms", program, processor * 1000);
  }
}

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((one) => {
    if (one.program === worker) {
      const bases = [workerFiles, workerDigests].map((program) => collector.find(one.setting, one.figure, program));
      return bases.flatMap((base) => (base === undefined ? [] : [compare(one, base, "ratio")]));
    }
    const base = one.figure.startsWith(all) ? collector.find(one.setting, one.figure, bytes) : undefined;
    return base === undefined || one.program === bytes ? [] : [compare(one, base, "ratio")];
  });
}

/** Of the least of all rounds: what else runs on the machine only adds. */
function floorsOf(collector: SeriesCollector): Floor[] {
  const least = (setting: string, figure: string, program: string) => Math.min(...(collector.find(setting, figure, program)?.values ?? []));
  const ratio = (setting: string, figure: string, other: string) => least(setting, figure, other) / least(setting, figure, ours);
  const floor = (setting: string, figure: string, other: string, required: number): Floor => {
    const name = `${setting}, ${figure === all ? "wall time" : "processor time"}: ${other} / ours, least of each`;
    return { name, required, measured: ratio(setting, figure, other) };
  };
  const ofWorker: Floor = {
    name: `${inWorkerd}, wall time: ${workerFiles} / ${worker}, least of each`,
    required: 1 / mostReadings,
    measured: least(inWorkerd, firstRequest, workerFiles) / least(inWorkerd, firstRequest, worker),
  };
  const ofProcesses = [all, processorOf(all)].flatMap((figure) => [
    floor(builtIn, figure, bytes, 1 / mostReadings),
    floor(teacher, figure, read, 1),
    floor(teacher, figure, mapped, 1),
  ]);
  return [...ofProcesses, ofWorker];
}

export const startSuite: Suite = {
  name: "start",
  description: "instantiate, load, first token, in Node and in workerd, beside reading the bytes and llama.cpp",
  defaultRounds: 7,
  run,
};
