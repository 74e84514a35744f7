/** Variables of the Workers: those that their code reads, and those that the documentation has. */

/** `readonly NAME?: string` of an environment is a variable; what is not a string is a binding. */
const variablePattern = /^\s+readonly ([A-Z][A-Z0-9_]*)\?: string;/gm;
/** `| worker | `NAME`, `OTHER` | …` */
const rowPattern = /^\| ([a-z]+) \| ((?:`[A-Z][A-Z0-9_]*`(?:, )?)+) \|/gm;
const namePattern = /[A-Z][A-Z0-9_]*/g;

export function variablesOf(sources: readonly string[]): ReadonlySet<string> {
  return new Set(sources.flatMap((text) => Array.from(text.matchAll(variablePattern), ([, name = ""]) => name)));
}

/** By Worker. */
export function documentedVariables(document: string): ReadonlyMap<string, ReadonlySet<string>> {
  const rows = Array.from(document.matchAll(rowPattern), ([, worker = "", names = ""]) => ({
    worker,
    names: names.match(namePattern) ?? [],
  }));
  return new Map(
    [...Map.groupBy(rows, ({ worker }) => worker)].map(([worker, some]) => [worker, new Set(some.flatMap(({ names }) => names))]),
  );
}
