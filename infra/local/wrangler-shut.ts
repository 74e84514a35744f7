/**
 * Loaded into wrangler's process before wrangler (`node --import`): shuts what `wrangler dev` opens beside the Workers and has no option for, and
 * ends wrangler with whoever started it.
 * wrangler and miniflare are pinned exactly; an edit that no longer fits ends the start with its name.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { inRepository } from "./paths.ts";
import { endWithStarter } from "./process-group.ts";

/** One place of a pinned file: what it says there, and what it shall say. */
interface Edit {
  readonly what: string;
  readonly from: string | RegExp;
  readonly to: (found: string) => string;
}

const wranglerProgram = inRepository("node_modules/wrangler/wrangler-dist/cli.js");
const miniflareProgram = inRepository("node_modules/miniflare/dist/src/index.js");
const entryWorker = inRepository("node_modules/miniflare/dist/src/workers/core/entry.worker.js");
const entryExports = "export {\n  ProxyServer,\n  entry_worker_default as default\n};";

const edits: ReadonlyMap<string, readonly Edit[]> = new Map([
  [
    wranglerProgram,
    [
      // A debugger evaluates anything inside the Workers, their secrets included.
      {
        what: "the inspector",
        from: /inspector: \{\s*hostname: args\.inspectorIp,\s*port: args\.inspectorPort\s*\}/,
        to: () => "inspector: false",
      },
      // The registry opens a port on which other programs call any entrypoint of any Worker.
      {
        what: "the registry of Workers",
        from: "registry: args.disableDevRegistry ? void 0 : getRegistryPath()",
        to: () => "registry: void 0",
      },
      { what: "handlers by HTTP", from: "unsafeTriggerHandlers: true", to: () => "unsafeTriggerHandlers: false" },
      { what: "SQL on objects", from: "unsafeInspectDurableObjects: true", to: () => "unsafeInspectDurableObjects: false" },
    ],
  ],
  [
    miniflareProgram,
    [
      {
        what: "the entry",
        from: /"core\/entry\.worker\.js"\);\s*\w+ = \w+\.default\.readFileSync\(filePath, "utf8"\)/,
        to: (found: string) => `${found}.replace(${JSON.stringify(entryExports)}, () => ${JSON.stringify(guardText())})`,
      },
    ],
  ],
]);

function guardText(): string {
  const guard = readFileSync(inRepository("infra/local/entry-guard.mjs"), "utf8").replace("export function", "function");
  const options = JSON.stringify({
    anyHost: process.env.ENTRY_ANY_HOST === "true",
    startId: process.env.ENTRY_START_ID ?? "",
    first: JSON.parse(process.env.ENTRY_WORKER_FIRST ?? "null") as unknown,
  });
  return `${guard}\nconst guardedEntry = guarded(entry_worker_default, ${options});\nexport { ProxyServer, guardedEntry as default };`;
}

export function edited(path: string, text: string): string {
  return (edits.get(path) ?? []).reduce((current, { what, from, to }) => {
    const parts = current.split(from);
    if (parts.length !== 2) throw new Error(`${path}: ${what} must be in one place; it is in ${String(parts.length - 1)}.`);
    return current.replace(from, to);
  }, text);
}

if (!readFileSync(entryWorker, "utf8").includes(entryExports))
  throw new Error(`${entryWorker} must end in "${entryExports}"; it does not.`);

if (process.argv[1] === wranglerProgram) endWithStarter();

registerHooks({
  load(url, context, nextLoad) {
    const path = url.startsWith("file:") ? fileURLToPath(url) : "";
    if (!edits.has(path)) return nextLoad(url, context);
    return { format: "commonjs", source: edited(path, readFileSync(path, "utf8")), shortCircuit: true };
  },
});
