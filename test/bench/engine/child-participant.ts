/** A participant in a process of its own: one line of JSON in, one line of JSON out, so that only the one that is measured computes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { repositoryRoot } from "../../../infra/local/paths.ts";
import { whenEnded } from "../ending.ts";
import type { Measurement, Participant, Task } from "./participant.ts";

/** The first line a child writes, once its model is loaded. */
interface Greeting {
  readonly description: string;
  readonly contextLength: number;
}

export interface ChildCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** What is repeated of a child's standard error when it ends by itself. */
const keptErrorCharacters = 2000;

export async function startChild({ name, command, args }: ChildCommand): Promise<Participant> {
  const child = spawn(command, args, { cwd: repositoryRoot, stdio: ["pipe", "pipe", "pipe"] });
  const forget = whenEnded(() => void child.kill("SIGKILL"));
  const closed = once(child, "close").finally(forget);
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints = (complaints + chunk.toString("utf8")).slice(-keptErrorCharacters)));
  // A child that is gone is noticed by the end of its output; the broken pipe says nothing more.
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function answer<T>(): Promise<T> {
    const line = (await lines.next()) as IteratorResult<string, undefined>;
    if (line.done !== true) return JSON.parse(line.value) as T;
    await closed;
    throw new Error(`${name} ended before it answered (status ${String(child.exitCode)}): ${complaints.trim()}`);
  }

  const { description, contextLength } = await answer<Greeting>();
  return {
    name,
    description,
    contextLength,
    async measure(task: Task): Promise<Measurement> {
      child.stdin.write(`${JSON.stringify(task)}\n`);
      return await answer<Measurement>();
    },
    async close(): Promise<void> {
      child.stdin.end();
      await closed;
    },
  };
}
