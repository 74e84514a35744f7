/** ARCHITECTURE.md is true: every path that it names exists, and its table "To change X" has a row, with tests, for every source file. */
import { type Checkout, isWithin, type Problem } from "./checkout.ts";
import { isTable, placedTokens, plainText } from "./markdown.ts";
import { isPath, isSomewhere, matching } from "./paths.ts";

const architectureFile = "ARCHITECTURE.md";
const tableHeading = "To change X";
/** Folders whose sources a row must cover, and tests that a row may name as its proof. */
const sourceFolders = ["workers", "infra", "gpu-backend/spikingbrain", "wasm/engine/src", "wasm/bindings"];
const proofFolders = ["test", "wasm/engine/tests"];
const sourceName = /\.(tsx?|mjs|py|rs|css|html)$/;
const fileExtension = /\.(tsx?|mjs|py|rs|md|toml|json|css|html)$/;
const drawnPath = /(?<![\w/.-])(?:workers|wasm|infra|test|gpu-backend)\/[\w./-]*/g;

export function checkArchitecture(checkout: Checkout): Problem[] {
  const text = checkout.read(architectureFile);
  const rows = rowsOf(text);
  const problems = pathsOfText(text, rows)
    .filter(({ path }) => !isSomewhere(checkout, path))
    .map(({ path, line }) => wrong(line, `names ${path}, which is no tracked file or folder, nor the end of one's path`));
  if (rows.length === 0) return [...problems, wrong(1, `must have a table under the heading "${tableHeading}"`)];
  for (const row of rows) {
    for (const path of [...row.touched, ...row.proofs]) {
      if (matching(checkout, path).length === 0) {
        problems.push(wrong(row.line, `the table names ${path}, which is no path of a tracked file or folder from the root`));
      }
    }
    if (!row.proofs.some((path) => proofFolders.some((folder) => isWithin(path, folder)))) {
      problems.push(wrong(row.line, `the row "${row.purpose}" must name a test below ${proofFolders.join(" or ")}`));
    }
  }
  const covered = rows.flatMap((row) => row.touched.flatMap((path) => matching(checkout, path)));
  for (const file of checkout.files) {
    if (!sourceName.test(file) || !sourceFolders.some((folder) => isWithin(file, folder))) continue;
    if (covered.some((path) => isWithin(file, path))) continue;
    problems.push({
      file,
      line: 1,
      message: `no row of ${architectureFile}'s table "${tableHeading}" names this file or a folder that it is in`,
    });
  }
  return problems;
}

interface Row {
  readonly line: number;
  readonly purpose: string;
  /** Paths from the root, in which `*` is any part of a name and `{a,b}` either of some. */
  readonly touched: readonly string[];
  readonly proofs: readonly string[];
}

/** Of the table below its heading. */
function rowsOf(text: string): Row[] {
  const placed = placedTokens(text);
  const heading = placed.findIndex(({ token }) => token.type === "heading" && plainText(token) === tableHeading);
  const table = placed.slice(heading + 1).find(({ token }) => isTable(token));
  if (heading < 0 || table === undefined || !isTable(table.token)) return [];
  return table.token.rows.map((cells, index) => {
    const [purpose = [], touched = [], proofs = []] = cells.map((cell) => cell.tokens);
    const paths = (tokens: typeof purpose): string[] =>
      tokens.flatMap((token) => (token.type === "codespan" && isNamedPath(plainText(token)) ? [plainText(token)] : []));
    return {
      // A row is a line; the header's and the rule's come first.
      line: table.line + 2 + index,
      purpose: purpose.map(plainText).join(""),
      touched: paths(touched),
      proofs: paths(proofs),
    };
  });
}

/** What the text names outside the table's rows: in code, and in the drawing. */
function pathsOfText(text: string, rows: readonly Row[]): { path: string; line: number }[] {
  const inTable = new Set(rows.map((row) => row.line));
  return placedTokens(text).flatMap(({ token, line }) => {
    if (token.type === "code") return [...plainText(token).matchAll(drawnPath)].map(([path]) => ({ path, line }));
    const path = token.type === "codespan" && !inTable.has(line) ? plainText(token) : "";
    return isNamedPath(path) ? [{ path, line }] : [];
  });
}

/** A word of code with a slash or a file's extension in it. */
function isNamedPath(code: string): boolean {
  return isPath(code) && (code.includes("/") || fileExtension.test(code));
}

function wrong(line: number, message: string): Problem {
  return { file: architectureFile, line, message };
}
