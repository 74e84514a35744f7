/** What Workers log while a test runs, and the secrets that must not be in it: whole, in part, encoded, or as token ids. */
import { vi } from "vitest";
import { toBase64 } from "../../../workers/encoding/base64.ts";
import { toHex } from "../../../workers/encoding/hex.ts";
import { logEvents } from "../../../workers/observe/events.ts";
import { bytesAsTokens } from "./tiny-tokenizer.ts";

/** A shorter part says little, and could be in a line by chance. */
const partCharacters = 12;
const tokenRun = 6;
/** Neither hexadecimal digits nor letters that the tiny tokenizer merges. */
const letters = "gijkmnopqrstuvxy";

/** 32 letters that nothing else holds. */
export function newSecret(): string {
  return crypto
    .randomUUID()
    .replaceAll("-", "")
    .replaceAll(/./g, (digit) => letters[Number.parseInt(digit, 16)] ?? "");
}

/** Collects every line that goes to the console until mocks are restored. */
export function spyOnLog(): string[] {
  const lines: string[] = [];
  for (const method of ["debug", "error", "info", "log", "warn"] as const)
    vi.spyOn(console, method).mockImplementation((...values: unknown[]) => void lines.push(values.map(String).join(" ")));
  return lines;
}

/** The event of a line. @throws Error where the line is no JSON object, or its event is not in the table. */
export function eventOf(line: string): string {
  const parsed: unknown = JSON.parse(line);
  const event = typeof parsed === "object" && parsed !== null && "event" in parsed ? parsed.event : undefined;
  if (typeof event !== "string" || !Object.hasOwn(logEvents, event)) throw new Error(`not an event of the table: ${line}`);
  return event;
}

/** The form in which the line holds the secret; undefined where it does not. */
export function formIn(line: string, secret: string): string | undefined {
  return [...formsOf(secret)].find(([, part]) => line.includes(part))?.[0];
}

function* formsOf(secret: string): Generator<readonly [form: string, part: string]> {
  const bytes = new TextEncoder().encode(secret);
  for (const part of windows(bytes, partCharacters)) {
    yield ["text", new TextDecoder().decode(part)];
    yield ["hexadecimal", toHex(part)];
    // Parts of every start fill base64's groups of three, wherever in an encoded text the secret begins.
    yield ["base64", toBase64(part)];
  }
  for (const run of windows(Uint32Array.from(bytesAsTokens(secret)), tokenRun)) yield ["token ids", run.join(",")];
}

function windows<T extends Uint8Array | Uint32Array>(items: T, length: number): T[] {
  return Array.from({ length: items.length - length + 1 }, (_unused, at) => items.subarray(at, at + length) as T);
}
