/** No files import one another in a circle: neither could be read, tested or moved without the other. */
import { type Checkout, isWithin, type Problem } from "./checkout.ts";
import { importedPath, importsOf } from "./imports.ts";

const codeName = /\.(tsx?|mjs)$/;

interface Arrow {
  readonly to: string;
  readonly line: number;
}

/** Of imports that exist at run time; a type alone may name whoever imports it. */
export function checkCircles(checkout: Checkout, folders: readonly string[]): Problem[] {
  const arrows = new Map<string, readonly Arrow[]>();
  for (const file of checkout.files) {
    if (codeName.test(file) && folders.some((folder) => isWithin(file, folder))) arrows.set(file, arrowsOf(checkout, file));
  }
  return circles(arrows).map((circle) => {
    const [first = "", next = first] = circle;
    const { line = 1 } = arrows.get(first)?.find(({ to }) => to === next) ?? {};
    return { file: first, line, message: `imports itself in a circle: ${[...circle, first].join(" -> ")}` };
  });
}

function arrowsOf(checkout: Checkout, file: string): Arrow[] {
  return importsOf(file, checkout.read(file)).flatMap(({ specifier, line, isType }) => {
    const to = isType ? null : importedPath(file, specifier);
    return to === null || to === file ? [] : [{ to, line }];
  });
}

/** One circle for each group of files that reach one another, each circle the first that a walk in the order of names meets. */
function circles(arrows: ReadonlyMap<string, readonly Arrow[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push(path.slice(at));
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const { to } of arrows.get(file) ?? []) visit(to);
    path.pop();
    done.add(file);
  };
  for (const file of [...arrows.keys()].sort()) visit(file);
  return found;
}
