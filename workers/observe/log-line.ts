import type { LogEvent } from "./events.ts";

/** One JSON object a line. Fields are facts about the request: never prompt text, completions, keys or header values. */
export function logLine(level: "info" | "error", event: LogEvent, fields: Readonly<Record<string, string | number | boolean>>): void {
  const line = JSON.stringify({ level, event, ...fields });
  if (level === "error") console.error(line);
  // Not `log`, whose lines wrangler searches for stack traces.
  else console.info(line);
}

/** What went wrong, for the log only: the class and message of an error. A parser's message quotes the text, which may be a client's: its class alone. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  return cause.name === "SyntaxError" ? cause.name : `${cause.name}: ${cause.message}`.slice(0, 300);
}
