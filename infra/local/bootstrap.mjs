// Runs on the Node a fresh machine has (20), before anything is installed: brings node_modules up to date, then runs the named
// script on the project's own Node (22, from node_modules), which executes TypeScript directly.
// Usage: node infra/local/bootstrap.mjs SCRIPT [ARGUMENT…]
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
/** The first Node that strips types without a flag, on the line the project pins. */
const minimumNode = [22, 18];
const stampName = ".package-lock.sha256";

/**
 * Whether node_modules holds what package-lock.json says. A stamp with the lock's digest decides; without one (a plain `npm ci`),
 * npm's own record in node_modules must not be older than the lock.
 * @param {string} root
 */
export function dependenciesAreCurrent(root) {
  const record = join(root, "node_modules/.package-lock.json");
  if (!existsSync(record)) return false;
  const lock = join(root, "package-lock.json");
  const stamp = join(root, "node_modules", stampName);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digestOf(lock)) return true;
  return statSync(record).mtimeMs >= statSync(lock).mtimeMs;
}

/** @param {string} root */
export function ensureDependencies(root) {
  if (dependenciesAreCurrent(root)) return;
  // On standard error: the script's own output may be read by a program.
  console.error("Installing dependencies (npm ci) …");
  const install = spawnSync("npm", ["ci"], { cwd: root, stdio: ["inherit", 2, 2] });
  if (install.status !== 0) {
    throw new Error("`npm ci` failed. Its messages are above; once the cause is gone (network, disk space), run the same command again.");
  }
  writeFileSync(join(root, "node_modules", stampName), digestOf(join(root, "package-lock.json")));
}

/** @param {string} version */
export function nodeIsRecentEnough(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [requiredMajor = 0, requiredMinor = 0] = minimumNode;
  return major > requiredMajor || (major === requiredMajor && minor >= requiredMinor);
}

/** @param {string} path */
function digestOf(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/**
 * Runs a script of the repository with its arguments; a failure is said without a stack and ends the process with status 1.
 * @param {string[]} scriptAndArguments
 */
export function runScript(scriptAndArguments) {
  main(scriptAndArguments).catch((/** @type {unknown} */ error) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  });
}

/** @param {string[]} scriptAndArguments */
async function main([script, ...rest]) {
  if (script === undefined) throw new Error("usage: node infra/local/bootstrap.mjs SCRIPT [ARGUMENT…]");
  ensureDependencies(repositoryRoot);
  const binaries = join(repositoryRoot, "node_modules/.bin");
  if (!(process.env.PATH ?? "").split(delimiter).includes(binaries)) {
    process.env.PATH = `${binaries}${delimiter}${process.env.PATH ?? ""}`;
  }
  const path = resolve(repositoryRoot, script);
  if (nodeIsRecentEnough(process.versions.node)) {
    process.argv = [process.execPath, path, ...rest];
    await import(pathToFileURL(path).href);
    return;
  }
  const child = spawn(join(binaries, "node"), [path, ...rest], { stdio: "inherit" });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  runScript(process.argv.slice(2));
}
