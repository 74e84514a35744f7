/**
 * Turns as they go from one object to another: lines of JSON in UTF-8, so that how much a call carries does not depend on which characters were
 * said, and that no more than one turn is in memory as anything else.
 */
import { ByteLines } from "../../encoding/lines.ts";
import type { StoredTurn } from "./turn-rows.ts";

/** @throws RangeError beyond `mostBytes`. */
export function linesOfTurns(turns: Iterable<StoredTurn>, mostBytes = Infinity): Uint8Array {
  const encoder = new TextEncoder();
  const lines: Uint8Array[] = [];
  let length = 0;
  for (const turn of turns) {
    const line = encoder.encode(`${JSON.stringify(turn)}\n`);
    length += line.length;
    if (length > mostBytes) throw new RangeError(`turns: their lines may have ${String(mostBytes)} bytes`);
    lines.push(line);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const line of lines) {
    whole.set(line, at);
    at += line.length;
  }
  return whole;
}

export function* turnsOfLines(bytes: Uint8Array): Generator<StoredTurn, void, undefined> {
  const lines = new ByteLines();
  lines.push(bytes);
  for (const line of lines.lines()) yield JSON.parse(line) as StoredTurn;
}
