/** What the Workers' configurations, code and documents must say alike, so that a deployment is found wrong before anything of it is uploaded. */
import type { Problem } from "../checks/checkout.ts";
import { documentedVariables, variablesOf } from "./variables.ts";
import type { Worker } from "./workers.ts";

export interface ConsistencyInput {
  readonly workers: readonly Worker[];
  /** The text of every TypeScript file of a Worker, by role. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
  /** The document with the table of variables, and its path from the root. */
  readonly document: { readonly path: string; readonly text: string };
}

/** A `readonly NAME: …` or `readonly NAME?: …` of an environment. */
const memberPattern = /^\s+readonly ([A-Z][A-Z0-9_]*)(\??): /gm;

export function checkConsistency(input: ConsistencyInput): Problem[] {
  const { workers } = input;
  return [
    ...workers.flatMap((worker) => [...servicesOf(worker, workers), ...objectsOf(worker), ...bindingsOf(worker, input)]),
    ...documents(input),
  ];
}

/** Each service binding leads to an entrypoint that is there. */
function servicesOf(worker: Worker, workers: readonly Worker[]): Problem[] {
  return (worker.raw.services ?? []).flatMap(({ binding, service, entrypoint }) => {
    const bound = workers.find(({ name }) => name === service);
    if (bound === undefined) return [problem(worker, `${binding} is bound to the Worker "${service}", which no configuration describes`)];
    if (entrypoint === undefined || new RegExp(`export class ${entrypoint} extends WorkerEntrypoint\\b`).test(bound.source)) return [];
    return [problem(worker, `${binding} is bound to "${entrypoint}" of "${service}", which exports no such entrypoint`)];
  });
}

/** Each Durable Object is bound, declared with SQLite, and exported. */
function objectsOf(worker: Worker): Problem[] {
  const { raw, source } = worker;
  const declared = Object.keys(raw.exports ?? {});
  const own = (raw.durable_objects?.bindings ?? []).filter(({ script_name: script }) => script === undefined);
  const bound = own.map(({ class_name: name }) => name);
  return [...new Set([...declared, ...bound])].flatMap((name) => {
    const problems: Problem[] = [];
    if (!bound.includes(name)) problems.push(problem(worker, `exports.${name} is bound by nothing`));
    const { type, storage } = (raw.exports?.[name] ?? {}) as { readonly type?: string; readonly storage?: string };
    if (type !== "durable-object" || storage !== "sqlite")
      problems.push(problem(worker, `exports.${name} must be a "durable-object" with "sqlite" storage`));
    if (!isExported(source, name)) problems.push(problem(worker, `its main module exports no "${name}"`));
    return problems;
  });
}

function isExported(source: string, name: string): boolean {
  return new RegExp(`export (?:class ${name}\\b|\\{[^}]*\\b${name}\\b[^}]*\\})`).test(source);
}

/** What the code is given from outside is what the configuration gives it. */
function bindingsOf(worker: Worker, { sources }: ConsistencyInput): Problem[] {
  const { raw } = worker;
  const given = new Set([
    ...(raw.services ?? []).map(({ binding }) => binding),
    // Objects of stages are as many as the model's plan has; the engine Worker reads them by number.
    ...(raw.durable_objects?.bindings ?? []).flatMap(({ name, script_name: script }) => (script === undefined ? name : [])),
    ...(raw.kv_namespaces ?? []).map(({ binding }) => binding),
    ...(raw.r2_buckets ?? []).map(({ binding }) => binding),
    ...(raw.assets?.binding === undefined ? [] : [raw.assets.binding]),
  ]);
  const members = (sources.get(worker.role) ?? []).flatMap((text) => [...text.matchAll(memberPattern)]);
  const all = new Set(members.map(([, name = ""]) => name));
  const needed = new Set(members.flatMap(([, name = "", optional]) => (optional === "?" ? [] : [name])));
  return [
    ...[...needed]
      .filter((name) => !given.has(name))
      .map((name) => problem(worker, `its code needs the binding ${name}, which is not given`)),
    ...[...given].filter((name) => !all.has(name)).map((name) => problem(worker, `its code reads no binding ${name}`)),
  ];
}

/** Variables that are read, documented and set are the same. */
function documents({ workers, sources, document }: ConsistencyInput): Problem[] {
  const documented = documentedVariables(document.text);
  const told = (message: string): Problem => ({ file: document.path, line: 1, message });
  const problems = workers.flatMap((worker) => {
    const { role, raw } = worker;
    const read = variablesOf(sources.get(role) ?? []);
    const known = documented.get(documentedRole(role)) ?? new Set();
    return [
      ...[...read]
        .filter((name) => !known.has(name))
        .map((name) => told(`the table of variables must have ${name} of the ${role} Worker, which reads it`)),
      ...[...known].filter((name) => !read.has(name)).map((name) => told(`the ${role} Worker reads no variable ${name}`)),
      ...Object.keys(raw.vars ?? {})
        .filter((name) => !read.has(name))
        .map((name) => problem(worker, `its code reads no variable ${name}`)),
    ];
  });
  // A model that is not cut has no stages.
  const roles = [...workers.map(({ role }) => documentedRole(role)), stageRole];
  return [
    ...problems,
    ...[...documented.keys()].filter((role) => !roles.includes(role)).map((role) => told(`there is no Worker "${role}"`)),
  ];
}

const stageRole = "stage";

/** The Workers of all stages have the same variables. */
function documentedRole(role: string): string {
  return role.startsWith(`${stageRole}-`) ? stageRole : role;
}

function problem({ configuration }: Worker, message: string): Problem {
  return { file: configuration, line: 1, message };
}
