/**
 * Files of objects that SQLite cannot read: cut, overwritten, or with broken pages. Two ways they show themselves. Where the file opens, a
 * statement fails with SQLite's words, inside the object, which can still delete everything. Where it does not open, no code of the object ever
 * runs, and the runtime says no more to callers than "internal error", as it does of its own accidents. An accident passes, or has other objects
 * too: the file is taken for broken only where it still does not open a while later, and another object of the kind can be reached.
 */
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { pause } from "../../waiting/within.ts";
import { storageCorrupt, type StoredThing } from "../failures.ts";

const sqliteWords = /SQLITE_CORRUPT|SQLITE_NOTADB|database disk image is malformed|file is not a database/;
const runtimeWords = /^internal error; reference = /;
/** Before each further look at an object whose call the runtime failed. */
const looksAfterMilliseconds = [0, 200, 800] as const;
/** An object that nothing is ever kept in. */
const controlName = "control";

/** Where objects of one kind are found, as seen over RPC. */
export interface Objects<T> {
  getByName(name: string): T;
}

/** Whether SQLite says that the file is broken. */
export function isBrokenFile(cause: unknown): boolean {
  return cause instanceof Error && sqliteWords.test(cause.message);
}

/** Whether this is the failure that {@link guarded} makes of it. */
export function isStorageCorrupt(cause: unknown): boolean {
  return cause instanceof ServiceError && cause.failure.code === "storage_corrupt";
}

/**
 * An object, where a broken file of it is a `storage_corrupt` that names `thing`, or what `instead` says. `probe` is a call that changes nothing,
 * of any object of the kind.
 */
export function guarded<T extends object>(
  objects: Objects<T>,
  name: string,
  thing: StoredThing,
  probe: (stub: T) => Promise<unknown>,
  instead: () => Promise<ServiceFailure | undefined> = () => Promise.resolve(undefined),
): T {
  return new Proxy(objects.getByName(name), {
    get(target, property) {
      const method: unknown = Reflect.get(target, property);
      if (typeof method !== "function") return method;
      return async (...values: unknown[]) => {
        try {
          return (await Reflect.apply(method, target, values)) as unknown;
        } catch (cause) {
          const isBroken = isBrokenFile(cause) || (isRuntimeFailure(cause) && (await isUnopenable(objects, name, probe)));
          if (!isBroken) throw cause;
          logLine("error", "storage_corrupt", { object: thing, cause: describeCause(cause) });
          throw new ServiceError((await instead()) ?? storageCorrupt(thing), { cause });
        }
      };
    },
  });
}

/** Each look has a stub of its own: one whose object was lost stays broken. */
async function isUnopenable<T>(objects: Objects<T>, name: string, probe: (stub: T) => Promise<unknown>): Promise<boolean> {
  const isFailing = async (object: string) => isRuntimeFailure(await failureOf(() => probe(objects.getByName(object))));
  for (const milliseconds of looksAfterMilliseconds) {
    await pause(milliseconds);
    if (!(await isFailing(name))) return false;
  }
  return !(await isFailing(controlName));
}

/** Not what an object threw, and not what the runtime says will pass. */
function isRuntimeFailure(cause: unknown): boolean {
  if (!(cause instanceof Error) || "remote" in cause || !runtimeWords.test(cause.message)) return false;
  const { retryable, overloaded } = cause as { readonly retryable?: boolean; readonly overloaded?: boolean };
  return retryable !== true && overloaded !== true;
}

async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (cause) {
    return cause;
  }
}

/** What a broken file keeps from being done is left undone; {@link guarded} has logged it. Whether it was done. */
export async function unlessBroken(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (cause) {
    if (!isStorageCorrupt(cause)) throw cause;
    return false;
  }
}
