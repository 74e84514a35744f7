import { spawn, type ChildProcess } from "node:child_process";
import { pathToFileURL } from "node:url";
import { repositoryRoot } from "./paths.ts";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; the command is ended after it. */
  readonly timeout?: number;
}

export interface RunResult {
  /** Exit status; null when a signal ended the command. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** What this process has started here and that still runs; it ends with this process. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** Runs a command with its output shown as it comes. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await execute(command, args, options, "show");
}

/** Runs a command and keeps its standard output and error, showing nothing. */
export async function capture(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await execute(command, args, options, "keep");
}

/** Shows the output as it comes and keeps it too. */
export async function runAndCapture(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await execute(command, args, options, "both");
}

async function execute(
  command: string,
  args: readonly string[],
  options: RunOptions,
  output: "show" | "keep" | "both",
): Promise<RunResult> {
  return await new Promise((resolveResult, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? repositoryRoot,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", output === "show" ? "inherit" : "pipe", output === "show" ? "inherit" : "pipe"],
      ...(options.timeout === undefined ? {} : { timeout: options.timeout, killSignal: "SIGKILL" as const }),
    });
    running.add(child);
    child.once("close", () => running.delete(child));
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (output === "both") process.stdout.write(chunk);
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (output === "both") process.stderr.write(chunk);
    });
    child.on("error", reject);
    child.on("close", (status, signal) => {
      resolveResult({ status, signal, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/** Says what went wrong to people, without a stack, and makes the process end with status 1. */
export function reportFailure(error: unknown): void {
  console.error(`
${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** True when the module is the script Node was asked to run. */
export function isMain(moduleUrl: string): boolean {
  return process.argv[1] !== undefined && moduleUrl === pathToFileURL(process.argv[1]).href;
}
