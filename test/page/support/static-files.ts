import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

export interface StaticFile {
  readonly content: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** Serves a folder as Cloudflare's static assets do, `_headers` included; null where there is no such file. */
export async function readStatic(directory: string, path: string): Promise<StaticFile | null> {
  const file = path === "/" ? "/index.html" : normalize(path);
  const type = contentTypes[extname(file)];
  if (type === undefined) return null;
  const content = await readFile(join(directory, file)).catch(() => null);
  if (content === null) return null;
  const rules = await readFile(join(directory, "_headers"), "utf8");
  return { content, headers: { "content-type": type, ...headersFor(rules, path) } };
}

/** Only what this project's `_headers` uses: a pattern a line, `*` at its end, headers indented below, `!` before one that is taken back. */
export function headersFor(rules: string, path: string): Record<string, string> {
  const headers = new Map<string, string>();
  let matches = false;
  for (const line of rules.split("\n")) {
    if (line.trim() === "") continue;
    if (!line.startsWith(" ")) {
      matches = line.endsWith("*") ? path.startsWith(line.slice(0, -1)) : path === line;
    } else if (matches && line.trim().startsWith("!")) {
      headers.delete(line.trim().slice(1).trim());
    } else if (matches) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    }
  }
  return Object.fromEntries(headers);
}
