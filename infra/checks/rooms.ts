/** The rooms of the TypeScript code and the arrows between them, as ARCHITECTURE.md draws them. `npm run check` holds imports to this. */
import type { Room } from "./arrows.ts";

/** Folders every file of which must belong to a room. */
export const roomFolders = ["workers", "wasm", "infra", "test"];

const [contracts, encoding, models, observe, stateFile, tokenizer] = [
  "workers/contracts",
  "workers/encoding",
  "workers/models",
  "workers/observe",
  "workers/state-file",
  "workers/tokenizer",
];
const sessionFile = "workers/session-file";
const settings = "workers/settings.ts";
const waiting = "workers/waiting";
const libraries = [contracts, encoding, models, observe, sessionFile, settings, stateFile, tokenizer, waiting];

const session = "workers/session";
const [answers, decisions, sessions, generation, snapshots] = ["answers", "decisions", "sessions", "generation", "snapshots"].map(
  (name) => `${session}/${name}`,
) as [string, string, string, string, string];
/** What every room of the session Worker stands on: its bindings, its failures, its secrets, whose a state or an id is, its rows. */
const ground = ["calls.ts", "environment.ts", "failures.ts", "identity.ts", "ids", "settings.ts", "state-secrets.ts", "storage"].map(
  (name) => `${session}/${name}`,
);

export const drawnRooms: readonly Room[] = [
  { path: contracts, imports: [encoding] },
  { path: encoding, imports: [] },
  { path: observe, imports: [] },
  { path: settings, imports: [contracts] },
  { path: stateFile, imports: [contracts, encoding] },
  { path: sessionFile, imports: [contracts, encoding, stateFile] },
  { path: tokenizer, imports: [contracts] },
  { path: waiting, imports: [] },
  { path: models, imports: [contracts, encoding, tokenizer, waiting] },

  // Nothing imports the gateway but its variables' rules, and the web page talks to it over HTTP alone.
  { path: "workers/gateway", imports: [contracts, encoding, models, observe, settings, tokenizer, waiting, "workers/gateway/settings.ts"] },
  { path: "workers/gateway/settings.ts", imports: [settings] },
  { path: "workers/page", imports: [contracts, waiting], types: ["workers/page/device"] },
  // The engine in the visitor's browser: a script of its own, which the web page loads only where it is wanted.
  { path: "workers/page/device", imports: [contracts, encoding, models, sessionFile, tokenizer, waiting, "workers/engine", "wasm/pkg"] },
  { path: "workers/grammar", imports: [contracts, encoding, models, observe, tokenizer, "wasm/pkg"] },
  { path: "workers/engine", imports: [contracts, encoding, observe, settings, stateFile, waiting, "wasm/pkg"] },
  { path: "workers/stage", imports: [contracts, observe, settings, waiting, "workers/engine"] },
  { path: "workers/pool", imports: [contracts, encoding, observe, settings, waiting] },

  // answers -> sessions -> generation -> snapshots, at run time without an arrow back.
  { path: session, imports: [...libraries, session] },
  { path: `${session}/environment.ts`, imports: [contracts], types: [answers, sessions, snapshots] },
  { path: `${session}/calls.ts`, imports: [contracts, observe] },
  { path: `${session}/failures.ts`, imports: [contracts] },
  { path: `${session}/identity.ts`, imports: [contracts], types: [snapshots] },
  { path: `${session}/state-secrets.ts`, imports: [encoding, settings] },
  { path: `${session}/settings.ts`, imports: [contracts, settings, `${session}/state-secrets.ts`] },
  { path: `${session}/ids`, imports: [encoding, `${session}/state-secrets.ts`], types: [`${session}/environment.ts`] },
  { path: `${session}/storage`, imports: [contracts, observe, waiting, `${session}/failures.ts`] },
  { path: `${answers}/text`, imports: [contracts, models, tokenizer], types: [generation] },
  { path: answers, imports: [...libraries, ...ground, `${answers}/text`, sessions, generation, snapshots] },
  { path: decisions, imports: [...libraries, ...ground, sessions, generation, snapshots] },
  { path: sessions, imports: [...libraries, ...ground, generation, snapshots] },
  { path: generation, imports: [...libraries, ...ground, snapshots] },
  { path: snapshots, imports: [...libraries, ...ground] },

  { path: "wasm", imports: [] },
  { path: "wasm/pkg", imports: [] },

  { path: "infra", imports: ["infra"] },
  { path: "infra/checks", imports: [] },
  { path: "infra/local", imports: [contracts, settings, tokenizer, waiting, "workers/engine", "workers/gateway/settings.ts", "wasm/pkg"] },
  {
    path: "infra/deploy",
    imports: ["infra/local", "infra/checks", waiting, "workers/gateway/settings.ts", `${session}/settings.ts`, "workers/pool"],
  },
  {
    path: "infra/node",
    imports: [
      "infra/local",
      contracts,
      encoding,
      observe,
      sessionFile,
      stateFile,
      tokenizer,
      "workers/engine",
      "workers/grammar",
      "wasm/pkg",
    ],
  },
  { path: "test", imports: ["workers", "wasm", "infra"] },
];
