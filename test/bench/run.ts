/** `npm run bench -- SUITE`: sets up what the suite needs, runs it, and prints one JSON object as the last line. */
import { Argument, Command } from "commander";
import { prepareModel } from "../../infra/local/models/prepare-model.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { reportFailure } from "../../infra/local/run.ts";
import { machineFacts, recentLoad, subjectFacts } from "./report/machine.ts";
import { makeRecord, writeRecord, type BenchRecord } from "./report/record.ts";
import { recordTable } from "./report/table.ts";
import type { Suite } from "./suite.ts";
import { suites } from "./suites.ts";

interface Options {
  readonly record: boolean;
  readonly rounds?: number;
}

async function bench(suite: Suite, options: Options): Promise<BenchRecord> {
  const startedAt = new Date();
  const begin = performance.now();
  const before = recentLoad();
  if (suite.model !== undefined) process.env.SPIKINGBRAIN_MODEL ??= suite.model;
  const model = await prepareModel();
  // Before the run, so that what is measured is what is named even if somebody edits meanwhile.
  const subject = await subjectFacts(model);
  const progress = (message: string): void => {
    console.error(`${((performance.now() - begin) / 1000).toFixed(0).padStart(5)} s  ${message}`);
  };
  const result = await suite.run({ model, rounds: options.rounds ?? suite.defaultRounds, progress });
  const seconds = (performance.now() - begin) / 1000;
  const load = { before, after: recentLoad() };
  const record = makeRecord({ suite: suite.name, startedAt, seconds, load, machine: machineFacts(), subject }, result);
  if (options.record) for (const path of writeRecord(record, inRepository("test/bench/records"))) progress(`wrote ${path}`);
  return record;
}

function rounds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100) throw new Error(`--rounds must be an integer from 1 to 100; it is "${text}".`);
  return value;
}

const list = suites.map(({ name, description, defaultRounds }) => `  ${name.padEnd(8)}${description} (${defaultRounds} rounds)`).join("\n");

const command = new Command("npm run bench --")
  .description(`Runs a benchmark suite:\n${list}`)
  .showHelpAfterError()
  .addArgument(new Argument("<suite>", "which suite").choices(suites.map(({ name }) => name)))
  .option("--record", "keep the result under test/bench/records", false)
  .option("--rounds <number>", "how often everything is measured, alternately", rounds)
  .action(async (name: string, options: Options) => {
    const suite = suites.find((other) => other.name === name);
    if (suite === undefined) throw new Error(`There is no suite "${name}"; the suites are:\n${list}`);
    const record = await bench(suite, options);
    console.log(recordTable(record));
    console.log(JSON.stringify(record));
    const missed = record.floors.filter(({ met }) => !met);
    if (missed.length > 0) {
      const figures = missed.map(({ name, required, measured }) => `${name} is ${measured} and must be at least ${required}`);
      throw new Error(`Below its floor: ${figures.join("; ")}.`);
    }
  });

try {
  await command.parseAsync();
} catch (error) {
  reportFailure(error);
}
