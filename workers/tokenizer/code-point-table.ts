/** What kind a code point is to the pre-tokenizers' expressions. */
export const otherClass = 0;
export const letterClass = 1;
export const numberClass = 2;
export const whitespaceClass = 3;
/** Flag in `characterClassRuns`: the digit splitter of the smollm family takes it for a digit. */
export const numericFlag = 4;

/** Values by code point; code points beyond the end have value 0. */
export type CodePointTable = Uint8Array;

/** Expands one table of `unicode-classes.ts`. */
export function expandRuns(lines: readonly string[]): CodePointTable {
  const runs = lines.flatMap((line) => line.trim().split(" "));
  const parsed = runs.map((run) => run.split(".").map((digits) => Number.parseInt(digits, 36)));
  const table = new Uint8Array(parsed.reduce((total, [, length = 1]) => total + length, 0));
  let start = 0;
  for (const [value = 0, length = 1] of parsed) {
    table.fill(value, start, start + length);
    start += length;
  }
  return table;
}

/** Runs a computation on first use; only for immutable results, since an isolate shares them between tenants. */
export function lazily<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: compute() }).value;
}
