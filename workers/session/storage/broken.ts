/**
 * Files of objects that SQLite cannot read: cut, overwritten, or with broken pages. Two ways they show themselves. Where the file opens, a
 * statement fails with SQLite's words, inside the object, which can still delete everything. Where it does not open, no code of the object ever
 * runs, and the runtime says no more to callers than "internal error"; that the next call gets the same tells it from an accident.
 */
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { storageCorrupt, type StoredThing } from "../failures.ts";

const sqliteWords = /SQLITE_CORRUPT|SQLITE_NOTADB|database disk image is malformed|file is not a database/;
const runtimeWords = /^internal error; reference = /;

/** Whether SQLite says that the file is broken. */
export function isBrokenFile(cause: unknown): boolean {
  return cause instanceof Error && sqliteWords.test(cause.message);
}

/** Whether this is the failure that {@link guarded} makes of it. */
export function isStorageCorrupt(cause: unknown): boolean {
  return cause instanceof ServiceError && cause.failure.code === "storage_corrupt";
}

/**
 * An object, where a broken file of it is a `storage_corrupt` that names `thing`, or what `instead` says. `probe` is a call to it that changes
 * nothing.
 */
export function guarded<T extends object>(
  stub: T,
  thing: StoredThing,
  probe: (stub: T) => Promise<unknown>,
  instead: () => Promise<ServiceFailure | undefined> = () => Promise.resolve(undefined),
): T {
  return new Proxy(stub, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return async (...values: unknown[]) => {
        try {
          return (await Reflect.apply(method, target, values)) as unknown;
        } catch (cause) {
          if (!isBrokenFile(cause) && !(isRuntimeFailure(cause) && isRuntimeFailure(await outcomeOf(probe(target))))) throw cause;
          logLine("error", "storage_corrupt", { object: thing, cause: describeCause(cause) });
          throw new ServiceError((await instead()) ?? storageCorrupt(thing), { cause });
        }
      };
    },
  });
}

function isRuntimeFailure(cause: unknown): boolean {
  return cause instanceof Error && !("remote" in cause) && runtimeWords.test(cause.message);
}

async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (cause) {
    return cause;
  }
}

/** What a broken file keeps from being done is left undone; {@link guarded} has logged it. */
export async function unlessBroken(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (cause) {
    if (!isStorageCorrupt(cause)) throw cause;
  }
}
