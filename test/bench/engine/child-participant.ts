/** A program in a process of its own: one line of JSON in, one line of JSON out, so that only the one that is measured computes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { repositoryRoot } from "../../../infra/local/paths.ts";
import { whenEnded } from "../ending.ts";
import type { Measurement, Participant, Task } from "./participant.ts";

/** `greeting` is the first line it writes, once its model is loaded. */
export interface Child<Greeting, Request, Answer> {
  readonly greeting: Greeting;
  ask(request: Request): Promise<Answer>;
  close(): Promise<void>;
}

export interface ChildCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** What is repeated of a child's standard error when it ends by itself. */
const keptErrorCharacters = 2000;

export async function startChild(command: ChildCommand): Promise<Participant> {
  const child = await startProcess<Pick<Participant, "description" | "contextLength">, Task, Measurement>(command);
  return {
    name: command.name,
    ...child.greeting,
    measure: async (task) => await child.ask(task),
    close: async () => {
      await child.close();
    },
  };
}

export async function startProcess<Greeting, Request, Answer>({
  name,
  command,
  args,
}: ChildCommand): Promise<Child<Greeting, Request, Answer>> {
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

  return {
    greeting: await answer<Greeting>(),
    async ask(request: Request): Promise<Answer> {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return await answer<Answer>();
    },
    async close(): Promise<void> {
      child.stdin.end();
      await closed;
    },
  };
}
