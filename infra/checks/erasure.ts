/** Users' text leaves an object's tables only so that the file does not keep it: through `workers/session/storage/erase.ts`. */
import { isWithin, type Checkout, type Problem } from "./checkout.ts";

const helperFile = "workers/session/storage/erase.ts";

/** Tables that hold names, numbers, digests and sealed bytes; of a table that is in neither list it has to be decided. */
const withoutText = new Set([
  ...[
    "snapshots",
    "owners",
    "blobs",
    "chunks",
    "placements",
    "nodes",
    "asked",
    "packs",
    "copies",
    "trash",
    "facts",
    "tenant",
    "charges",
    "charged",
  ],
  ...["sessions", "unlisted", "streams", "responses"],
]);
const statements = /\b(CREATE TABLE(?: IF NOT EXISTS)?|DELETE FROM|DROP TABLE(?: IF EXISTS)?) (?:"?(\w+)"?|\$\{)/g;

export function checkErasure(checkout: Checkout): Problem[] {
  if (!checkout.files.has(helperFile))
    return [{ file: helperFile, line: 1, message: "is not there, and deleted text must leave the disk" }];
  const withText = textTables(checkout.read(helperFile));
  const files = [...checkout.files].filter((file) => isWithin(file, "workers/session") && file.endsWith(".ts") && file !== helperFile);
  return files.flatMap((file) => {
    const text = checkout.read(file);
    return Array.from(text.matchAll(statements), ({ index, 1: statement = "", 2: table }) => {
      const message = problemOf(file, statement, table, withText);
      return message === undefined ? [] : [{ file, line: text.slice(0, index).split("\n").length, message }];
    }).flat();
  });
}

/** Those of `export const …Text = ["…"] as const`. */
function textTables(helper: string): ReadonlySet<string> {
  const lists = Array.from(helper.matchAll(/export const \w+Text = \[([^\]]*)\] as const/g), ([, list = ""]) => list);
  return new Set(lists.flatMap((list) => Array.from(list.matchAll(/"(\w+)"/g), ([, name = ""]) => name)));
}

function problemOf(file: string, statement: string, table: string | undefined, withText: ReadonlySet<string>): string | undefined {
  if (statement.startsWith("CREATE")) {
    if (table === undefined || withText.has(table) || withoutText.has(table)) return undefined;
    return `makes the table '${table}', which must be listed: in ${helperFile} where it holds users' text or tokens, in infra/checks/erasure.ts where not`;
  }
  // All tables there hold sealed bytes; their names are checked where they are made.
  if (table === undefined ? isWithin(file, "workers/session/snapshots") : !withText.has(table)) return undefined;
  return `deletes from ${table === undefined ? "a table that is named at run time" : `'${table}'`}, whose text stays in the file: use removeText of ${helperFile}`;
}
