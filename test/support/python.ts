/** Runs Python programs of the tests in the project's own environment, which `npm run setup:python` makes. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** `SPIKINGBRAIN_PYTHON` points at another interpreter that has the same packages. */
export function pythonPath(): string {
  const path = process.env.SPIKINGBRAIN_PYTHON ?? `${repository}gpu-backend/.venv/bin/python`;
  if (!existsSync(path)) {
    throw new Error(`There is no Python at ${path}. Run \`npm run setup:python\`, or set SPIKINGBRAIN_PYTHON to an interpreter's path.`);
  }
  return path;
}

/** Runs a script of this repository and returns what it prints; throws with its standard error when it fails. */
export function runPython(script: string, ...parameters: readonly string[]): string {
  const result = spawnSync(pythonPath(), [`${repository}${script}`, ...parameters], { encoding: "utf8", maxBuffer: 1 << 26 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${script} ended with status ${String(result.status)}:\n${result.stderr}`);
  return result.stdout;
}

/** The same while other things go on: for scripts that need this process, such as to read what a stack prints. */
export const runPythonAsync = (script: string, ...parameters: readonly string[]): Promise<string> =>
  outputOf(pythonPath(), script, parameters);

/** The same in the environment of libraries that are clients, `gpu-backend/.venv-clients`. */
export const runClient = (script: string, ...parameters: readonly string[]): Promise<string> =>
  outputOf(`${repository}gpu-backend/.venv-clients/bin/python`, script, parameters);

async function outputOf(python: string, script: string, parameters: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python, [`${repository}${script}`, ...parameters], { maxBuffer: 1 << 26 });
  return stdout;
}
