/** Paths as prose names them: from the root or by their end, `*` for any part of a name, `{a,b}` for either. */
import { type Checkout, exists } from "./checkout.ts";

const pathPattern = /^(?![.@/])(?:[\w.@/*-]|\{[\w.,/-]+\})+$/;

/** Whether a span of code in prose is spelled as a path is; what it names need not be there. */
export function isPath(code: string): boolean {
  return pathPattern.test(code);
}

/** Whether it is a path from the root or, so that a sentence can be read, the end of one. */
export function isSomewhere(checkout: Checkout, path: string): boolean {
  return exists(checkout, path) || named(checkout, path, "(?:^|/)").length > 0;
}

/** Tracked files and folders that a path from the root names. */
export function matching(checkout: Checkout, path: string): string[] {
  return named(checkout, path, "^");
}

function named({ files, folders }: Checkout, path: string, start: string): string[] {
  const source = path
    .replace(/\/$/, "")
    .replace(/[.]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replace(/\{([^}]*)\}/g, (_, names: string) => `(?:${names.replaceAll(",", "|")})`);
  const pattern = new RegExp(`${start}${source}$`);
  return [...files, ...folders].filter((other) => pattern.test(other));
}
