/**
 * Locks among the programs of this project on one machine and user. Whoever wants one listens on a Unix socket of its own in the temporary directory, which
 * tells all others of it; a lock is free as soon as its holder is gone, however that one ended. No file is ever shared, so that nobody can take away
 * another's by mistake: who comes first is settled as at a bakery, by tickets (Lamport 1974, "A new solution of Dijkstra's concurrent programming problem").
 * Plain JavaScript, as bootstrap.mjs runs before anything is installed.
 * @typedef {{ pid: number, [field: string]: unknown }} Holder
 * @typedef {{ holder: Holder, ticket: number, isChoosing: boolean, holds: boolean }} Place what a socket tells: who has it, and its place in the queue
 */
import { createHash, randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const prefix = `spikingbrain-${String(process.getuid?.() ?? 0)}-`;
const suffix = ".sock";
const answerMilliseconds = 5000;
const retryMilliseconds = 200;
const choosingMilliseconds = 5;

/** A short name for a directory: the path of a socket may have about a hundred bytes. @param {string} path */
export function nameOf(path) {
  return createHash("sha256").update(path).digest("hex").slice(0, 16);
}

/**
 * Takes a lock, or says who has it.
 * @param {string} name letters, digits and dashes
 * @param {Record<string, unknown>} about what others are told of this holder, beside its `pid`
 * @returns {Promise<{ release: () => void } | { holder: Holder }>}
 */
export async function tryLock(name, about) {
  const path = join(tmpdir(), `${prefix}${name}.${String(process.pid)}-${randomUUID().slice(0, 8)}${suffix}`);
  /** @type {Place} */
  const own = { holder: { pid: process.pid, ...about }, ticket: 0, isChoosing: true, holds: false };
  const server = createServer((socket) => socket.on("error", () => undefined).end(JSON.stringify(own)));
  // The socket gets its name once it is listened on: one that refuses a connection is a dead process's.
  await listen(server, `${path}.new`);
  renameSync(`${path}.new`, path);
  server.unref();
  const release = () => {
    rmSync(path, { force: true });
    server.close();
  };
  const others = await places(`${name}.`);
  own.ticket = 1 + Math.max(0, ...others.map(({ ticket }) => ticket));
  own.isChoosing = false;
  // Whoever is not among these has read this ticket before it takes its own, which is then a later one.
  const all = [...others.filter(({ holds }) => holds), ...(await places(`${name}.`, ({ isChoosing }) => isChoosing))];
  const first = all
    .filter(({ holds, ticket, path: other }) => holds || ticket < own.ticket || (ticket === own.ticket && other < path))
    .sort((a, b) => Number(b.holds) - Number(a.holds) || a.ticket - b.ticket)[0];
  if (first !== undefined) {
    release();
    return { holder: first.holder };
  }
  own.holds = true;
  return { release };
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
  return (await places(start)).filter(({ holds }) => holds).map(({ holder }) => holder);
}

/**
 * The places of all processes whose lock's name begins so.
 * @param {string} start @param {(place: Place) => boolean} isTransient of a place that it is worth waiting for, as it changes at once
 * @returns {Promise<(Place & { path: string })[]>}
 */
async function places(start, isTransient = () => false) {
  const files = readdirSync(tmpdir()).filter((file) => file.startsWith(`${prefix}${start}`) && file.endsWith(suffix));
  const found = await Promise.all(
    files.map(async (file) => {
      const path = join(tmpdir(), file);
      let place = await ask(path);
      for (; place !== undefined && isTransient(place); place = await ask(path)) await delay(choosingMilliseconds);
      return place === undefined ? [] : [{ ...place, path }];
    }),
  );
  return found.flat();
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

/** What the process tells that listens on a socket; undefined when none does, and its socket is gone then. @param {string} path @returns {Promise<Place | undefined>} */
async function ask(path) {
  for (;;) {
    const { text, code } = await read(path);
    if (code === "ECONNREFUSED" || code === "ENOENT") {
      rmSync(path, { force: true });
      return undefined;
    }
    try {
      return JSON.parse(text);
    } catch {
      // It ended before it had said anything, or had no room for one more who asks; one that is too busy counts as a holder.
      if (code !== undefined && code !== "ECONNRESET" && code !== "EAGAIN")
        return { holder: { pid: 0 }, ticket: 0, isChoosing: false, holds: true };
      await delay(choosingMilliseconds);
    }
  }
}

/** @param {string} path @returns {Promise<{ text: string, code: string | undefined }>} what a socket gives, and why no more came of it */
async function read(path) {
  return await new Promise((resolve) => {
    let text = "";
    /** @type {string | undefined} */
    let code;
    const socket = connect(path);
    socket.setTimeout(answerMilliseconds, () => {
      code = "ETIMEDOUT";
      socket.destroy();
    });
    socket.on("data", (chunk) => (text += chunk.toString("utf8")));
    socket.on("error", (/** @type {NodeJS.ErrnoException} */ error) => (code = error.code ?? error.message));
    socket.on("close", () => resolve({ text, code }));
  });
}
