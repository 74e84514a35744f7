/**
 * Locks among the programs of this project on one machine and user: a Unix socket in the temporary directory, which whoever holds it listens on.
 * It is free as soon as its holder is gone, however that one ended. Plain JavaScript, as bootstrap.mjs runs before anything is installed.
 * @typedef {{ pid: number, [field: string]: unknown }} Holder
 */
import { createHash, randomUUID } from "node:crypto";
import { linkSync, readdirSync, renameSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const prefix = `spikingbrain-${String(process.getuid?.() ?? 0)}-`;
const suffix = ".sock";
const answerMilliseconds = 5000;
const retryMilliseconds = 200;

/** A short name for a directory: the path of a socket may have about a hundred bytes. @param {string} path */
export function nameOf(path) {
  return createHash("sha256").update(path).digest("hex").slice(0, 16);
}

/** @param {string} name */
const socketPath = (name) => join(tmpdir(), `${prefix}${name}${suffix}`);

/**
 * Takes a lock, or says who has it. The socket gets its name only once it is listened on: one that refuses a connection is a dead process's.
 * @param {string} name letters, digits and dashes
 * @param {Record<string, unknown>} about what others are told of this holder, beside its `pid`
 * @returns {Promise<{ release: () => void } | { holder: Holder }>}
 */
export async function tryLock(name, about) {
  const path = socketPath(name);
  const own = `${path}.${String(process.pid)}-${randomUUID().slice(0, 8)}`;
  const server = createServer((socket) => socket.on("error", () => undefined).end(JSON.stringify({ pid: process.pid, ...about })));
  await listen(server, own);
  server.unref();
  for (;;) {
    if (isLinked(own, path)) {
      return {
        release: () => {
          rmSync(path, { force: true });
          server.close();
        },
      };
    }
    const holder = await ask(path);
    if (holder !== undefined) {
      server.close();
      return { holder };
    }
    await removeStale(path, own);
  }
}

/**
 * Runs a task while holding a lock; waits for it as long as another process has it, and says so once.
 * @template T
 * @param {string} name
 * @param {string} what what is done under it, for those who wait
 * @param {() => T | Promise<T>} task
 * @returns {Promise<T>}
 */
export async function withLock(name, what, task) {
  for (let said = false; ; said = true) {
    const lock = await tryLock(name, { what });
    if ("release" in lock) {
      try {
        return await task();
      } finally {
        lock.release();
      }
    }
    if (!said) console.error(`Process ${String(lock.holder.pid)} is ${String(lock.holder.what ?? what)}; waiting for it …`);
    await delay(retryMilliseconds);
  }
}

/** Those who hold locks whose name begins so. @param {string} start @returns {Promise<Holder[]>} */
export async function holders(start) {
  const files = readdirSync(tmpdir()).filter((file) => file.startsWith(`${prefix}${start}`) && file.endsWith(suffix));
  const found = await Promise.all(files.map((file) => ask(join(tmpdir(), file))));
  return found.filter((holder) => holder !== undefined);
}

/** @param {import("node:net").Server} server @param {string} path @returns {Promise<void>} */
async function listen(server, path) {
  await new Promise((resolve, reject) => {
    server.once("error", (/** @type {NodeJS.ErrnoException} */ cause) => {
      reject(new Error(`${path} cannot be made (${String(cause.code)}); set TMPDIR to a directory that can be written to.`, { cause }));
    });
    server.listen(path, () => resolve(undefined));
  });
}

/** Gives a socket its name, and takes the one that it was made under away; false where another has the name. @param {string} own @param {string} path */
function isLinked(own, path) {
  try {
    linkSync(own, path);
    rmSync(own, { force: true });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Who listens on a socket; undefined when nobody does. @param {string} path @returns {Promise<Holder | undefined>} */
async function ask(path) {
  return await new Promise((resolve) => {
    let text = "";
    const socket = connect(path);
    // A holder that is busy is one all the same.
    socket.setTimeout(answerMilliseconds, () => socket.destroy());
    socket.on("data", (chunk) => (text += chunk.toString("utf8")));
    socket.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(undefined);
    });
    socket.on("close", () => resolve(parsed(text)));
  });
}

/** @param {string} text @returns {Holder} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { pid: 0 };
  }
}

/**
 * Takes a dead process's socket away, under another name first: another process may have put its own there since, and then that goes back.
 * @param {string} path @param {string} own
 */
async function removeStale(path, own) {
  const aside = `${own}.stale`;
  try {
    renameSync(path, aside);
    if ((await ask(aside)) === undefined) rmSync(aside, { force: true });
    else renameSync(aside, path);
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
