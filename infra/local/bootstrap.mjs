// Runs on the Node a fresh machine has (20), before anything is installed: brings node_modules up to date, then runs the named
// script on the project's own Node (26, from node_modules), which executes TypeScript directly.
// Usage: node infra/local/bootstrap.mjs SCRIPT [ARGUMENT…]
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { nameOf, withLock } from "./lock.mjs";

const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
/** The line that the project pins: its V8 runs the engine's vector code faster than those before it do. */
const minimumNode = [26, 0];
const stampName = ".package-lock.sha256";
const progressMilliseconds = 3000;
const endSignals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

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

/**
 * Runs `npm ci` when the dependencies are not current; one process at a time does so in a checkout.
 * @param {string} root
 */
export async function ensureDependencies(root) {
  if (dependenciesAreCurrent(root)) return;
  await withLock(`npm-${nameOf(root)}`, "installing dependencies", async () => {
    if (dependenciesAreCurrent(root)) return;
    if ((await installDependencies(root)) !== 0) {
      throw new Error("`npm ci` failed. Its messages are above; once the cause is gone (network, disk space), run the same command again.");
    }
    writeFileSync(join(root, "node_modules", stampName), digestOf(join(root, "package-lock.json")));
  });
}

/**
 * Runs `npm ci` and says every few seconds how far it is, on standard error: the script's own output may be read by a program.
 * @param {string} root
 * @returns {Promise<number | null>} npm's exit status; null when a signal ended it
 */
async function installDependencies(root) {
  console.error("Installing dependencies (npm ci) …");
  const start = Date.now();
  let fetched = 0;
  const timer = setInterval(() => {
    console.error(`  ${String(Math.round((Date.now() - start) / 1000))} s, packages fetched: ${String(fetched)}`);
  }, progressMilliseconds);
  // npm is silent about what it fetches but for these lines, which are counted. Of the others those are shown that .npmrc asks for: its
  // warnings are about the Node that npm runs on, and the project's own takes over from here.
  const npm = spawn("npm", ["ci", "--loglevel=http"], { cwd: root, stdio: ["inherit", 2, "pipe"] });
  const ended = new Promise((resolve, reject) => {
    npm.once("error", (cause) => reject(new Error("`npm` cannot be started; it comes with Node.js.", { cause })));
    npm.once("close", resolve);
  });
  ended.catch(() => undefined);
  const stop = endWith(npm);
  try {
    for await (const line of createInterface({ input: npm.stderr })) {
      if (!/^npm (http|warn|notice) /.test(line)) console.error(line);
      else if (/^npm http fetch GET 200 .*\.tgz/.test(line)) fetched += 1;
    }
    return await ended;
  } finally {
    clearInterval(timer);
    stop();
  }
}

/**
 * Hands signals on to a child, and takes it along when this process ends.
 * @param {import("node:child_process").ChildProcess} child
 * @returns {() => void} undoes it
 */
function endWith(child) {
  const handlers = endSignals.map((signal) => /** @type {const} */ ([signal, () => void child.kill(signal)]));
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
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
  await ensureDependencies(repositoryRoot);
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
  const child = spawn(join(binaries, "node"), [path, ...rest], { stdio: "inherit", env: { ...process.env, STARTED_BY_BOOTSTRAP: "true" } });
  endWith(child);
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  runScript(process.argv.slice(2));
}
