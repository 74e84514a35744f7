/** The Workers' secrets: from a file of the operator's or asked for, checked by the rules of who reads them, and never shown. */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

/** By Worker; required ones must be given once, and stay where they are when they are left out later. */
const secrets = {
  gateway: [
    { name: "API_KEYS", isRequired: true },
    { name: "ADMIN_KEYS", isRequired: false },
  ],
  session: [{ name: "STATE_KEYS", isRequired: true }],
  pool: [
    { name: "POOL_NODES", isRequired: false },
    { name: "POOL_STATIC", isRequired: false },
    { name: "POOL_ACCESS", isRequired: false },
  ],
} as const satisfies Readonly<Record<string, readonly { readonly name: string; readonly isRequired: boolean }[]>>;

const groupOrOthers = 0o077;

export type Secrets = ReadonlyMap<string, string>;

/** Names of a Worker's secrets. */
export function secretsOf(worker: string): readonly string[] {
  return rulesOf(worker).map(({ name }) => name);
}

export function requiredSecretsOf(worker: string): readonly string[] {
  return rulesOf(worker).flatMap(({ name, isRequired }) => (isRequired ? [name] : []));
}

/** Every secret that there is. */
export const secretNames: readonly string[] = Object.keys(secrets).flatMap(secretsOf);

/**
 * Lines of `NAME=VALUE`, empty ones and those that begin with `#` aside; none without a path.
 * @throws Error that names the line or the name, and never a value.
 */
export function readSecrets(path: string | undefined): Secrets {
  if (path === undefined) return new Map();
  const file = resolve(path);
  const status = statSync(file, { throwIfNoEntry: false });
  if (status?.isFile() !== true) throw new Error(`${path} must be a file; it is not there.`);
  if ((status.mode & groupOrOthers) !== 0)
    throw new Error(
      `${path} holds secrets and must be its owner's alone; its mode is ${(status.mode & 0o777).toString(8)}. \`chmod 600 ${path}\` mends that.`,
    );
  const found = new Map<string, string>();
  for (const [index, line] of readFileSync(file, "utf8").split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const equals = line.indexOf("=");
    const name = line.slice(0, Math.max(0, equals)).trim();
    if (!secretNames.includes(name))
      throw new Error(`${path}, line ${String(index + 1)}: must be NAME=VALUE, and the name one of ${secretNames.join(", ")}.`);
    if (found.has(name)) throw new Error(`${path}, line ${String(index + 1)}: ${name} must stand there once.`);
    found.set(name, line.slice(equals + 1).trim());
  }
  return found;
}

function rulesOf(worker: string): readonly { readonly name: string; readonly isRequired: boolean }[] {
  return (secrets as Readonly<Record<string, readonly { readonly name: string; readonly isRequired: boolean }[]>>)[worker] ?? [];
}
