/** What is wrong with a deployment is found in configurations, code and documents, and this repository's are right. */
import { describe, expect, it } from "vitest";
import { describeProblem } from "../../../infra/checks/checkout.ts";
import { checkConsistency, type ConsistencyInput } from "../../../infra/deploy/consistency.ts";
import { readRepository } from "../../../infra/deploy/repository.ts";
import { ordered, readWorkers } from "../../../infra/deploy/workers.ts";
import { worker } from "./support.ts";

const engine = worker(
  "engine",
  {
    durable_objects: { bindings: [{ name: "ENGINE_OBJECT", class_name: "EngineObject" }] },
    exports: { EngineObject: { type: "durable-object", storage: "sqlite" } },
    vars: { SPIKES: "" },
  },
  'export { EngineObject } from "./engine-object.ts";\nexport class EngineService extends WorkerEntrypoint<E> {}\n',
);
const gateway = worker("gateway", {
  services: [{ binding: "ENGINE", service: "spikingbrain-engine", entrypoint: "EngineService" }],
  assets: { directory: "dist", binding: "ASSETS" },
});
const right: ConsistencyInput = {
  workers: [engine, gateway],
  sources: new Map([
    ["engine", ["interface E {\n  readonly ENGINE_OBJECT: DurableObjectNamespace<EngineObject>;\n  readonly SPIKES?: string;\n}\n"]],
    [
      "gateway",
      [
        "interface E {\n  readonly ENGINE: Backend;\n  readonly ASSETS: Assets;\n  readonly NETWORK?: Network;\n  readonly API_KEYS?: string;\n  readonly ADMIN_KEYS?: string;\n}\n",
      ],
    ],
  ]),
  document: { path: "README.md", text: "| gateway | `API_KEYS`, `ADMIN_KEYS` | unset | keys |\n| engine | `SPIKES` | off | spikes |\n" },
};
const problemsOf = (changes: Partial<ConsistencyInput>) => checkConsistency({ ...right, ...changes }).map(describeProblem);

describe("a deployment", () => {
  it("that is right has no problem", () => {
    expect(problemsOf({})).toEqual([]);
  });

  const withEngine = (raw: object, source = engine.source) => ({
    workers: [{ ...engine, raw: { ...engine.raw, ...raw }, source }, gateway],
  });
  it.each<[string, Partial<ConsistencyInput>, string]>([
    [
      "a Worker that is none",
      { workers: [gateway] },
      'ENGINE is bound to the Worker "spikingbrain-engine", which no configuration describes',
    ],
    [
      "an entrypoint that is none",
      withEngine({}, 'export { EngineObject } from "./engine-object.ts";\nexport class EngineService {}\n'),
      'workers/gateway/wrangler.toml:1: ENGINE is bound to "EngineService" of "spikingbrain-engine", which exports no such entrypoint',
    ],
    [
      "an object that is not exported",
      withEngine({}, "export class EngineService extends WorkerEntrypoint<E> {}\n"),
      'workers/engine/wrangler.toml:1: its main module exports no "EngineObject"',
    ],
    [
      "an object that is not declared",
      withEngine({ exports: {} }),
      'exports.EngineObject must be a "durable-object" with "sqlite" storage',
    ],
    ["an object that nobody binds", withEngine({ durable_objects: { bindings: [] } }), "exports.EngineObject is bound by nothing"],
    [
      "a binding that is missing",
      withEngine({ durable_objects: { bindings: [] } }),
      "its code needs the binding ENGINE_OBJECT, which is not given",
    ],
    ["a binding that nobody reads", withEngine({ kv_namespaces: [{ binding: "CACHE" }] }), "its code reads no binding CACHE"],
    [
      "a variable that nobody reads",
      withEngine({ vars: { SPIKE: "" } }),
      "workers/engine/wrangler.toml:1: its code reads no variable SPIKE",
    ],
    [
      "a variable without a document",
      { document: { path: "README.md", text: "| gateway | `API_KEYS`, `ADMIN_KEYS` | unset | keys |\n" } },
      "README.md:1: the table of variables must have SPIKES of the engine Worker, which reads it",
    ],
    [
      "a document of a variable that is none",
      { document: { path: "README.md", text: `${right.document.text}| engine | \`SPIKE\` | off | spikes |\n` } },
      "README.md:1: the engine Worker reads no variable SPIKE",
    ],
    [
      "a document of a Worker that is none",
      { document: { path: "README.md", text: `${right.document.text}| queue | \`SIZE\` | 1 | size |\n` } },
      'README.md:1: there is no Worker "queue"',
    ],
  ])("with %s is told of it", (_name, changes, message) => {
    expect(problemsOf(changes).join("\n")).toContain(message);
  });

  it("begins with those that others are bound to, and has no circle", () => {
    expect(ordered([gateway, engine]).map(({ role }) => role)).toEqual(["engine", "gateway"]);
    const bound = worker("engine", { services: [{ binding: "GATEWAY", service: "spikingbrain-gateway" }] });
    expect(() => ordered([gateway, bound])).toThrow("spikingbrain-gateway -> spikingbrain-engine -> spikingbrain-gateway");
  });
});

describe("this repository", () => {
  it("is right", () => {
    expect(checkConsistency(readRepository()).map(describeProblem)).toEqual([]);
  });

  it("is deployed from the grammar to the gateway", () => {
    expect(readWorkers().map(({ role }) => role)).toEqual(["grammar", "engine", "pool", "session", "gateway"]);
  });
});
