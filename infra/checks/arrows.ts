/** No import goes against the arrows between rooms that `rooms.ts` draws. */
import { type Checkout, isWithin, type Problem } from "./checkout.ts";
import { importedPath, importsOf } from "./imports.ts";

/** A folder or file, the rooms inside it not counted, and what its files may import beside one another. */
export interface Room {
  readonly path: string;
  /** Rooms' paths; the rooms inside one are meant too. */
  readonly imports: readonly string[];
  /** Rooms of which they may import types and nothing else, as for the name of an object's class. */
  readonly types?: readonly string[];
}

const codeName = /\.(tsx?|mjs)$/;

export function checkArrows(checkout: Checkout, rooms: readonly Room[], folders: readonly string[]): Problem[] {
  const roomOf = (path: string): Room | undefined =>
    rooms.filter((room) => isWithin(path, room.path)).sort((a, b) => b.path.length - a.path.length)[0];
  const problems: Problem[] = [];
  for (const file of checkout.files) {
    if (!codeName.test(file) || !folders.some((folder) => isWithin(file, folder))) continue;
    const from = roomOf(file);
    if (from === undefined) {
      problems.push({ file, line: 1, message: "belongs to no room; infra/checks/rooms.ts must say what it may import" });
      continue;
    }
    for (const { specifier, line, isType } of importsOf(file, checkout.read(file))) {
      const path = importedPath(file, specifier);
      const to = path === null ? undefined : roomOf(path);
      if (path === null || to === from) continue;
      const allowed = isType ? [...from.imports, ...(from.types ?? [])] : from.imports;
      if (to !== undefined && allowed.some((path) => isWithin(to.path, path))) continue;
      const arrow = `from ${from.path} to ${to?.path ?? "a place that is no room"}`;
      problems.push({ file, line, message: `imports ${path}${isType ? "" : ", more than a type"}: no arrow leads ${arrow}` });
    }
  }
  return problems;
}
