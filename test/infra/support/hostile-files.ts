/** The table of hostile files (`test/fixtures/hostile`): what every reader must refuse. */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";

export interface HostileFile {
  readonly kind: string;
  readonly name: string;
  /** What a reader must have looked at to see what is wrong. */
  readonly stage: "header" | "data" | "config" | "values" | "model";
  /** In every reader's message. */
  readonly says: readonly string[];
  readonly content: Buffer;
}

interface Row extends Omit<HostileFile, "content"> {
  /** Stretches of the sound file, and bytes of the case's own with how often they come. */
  readonly parts: readonly (readonly [number, number] | readonly [string, number])[];
}

export const soundFile = (name: string): Buffer => readFileSync(inRepository(`test/fixtures/hostile/sound/${name}`));

/** Those of one kind, which are made of one sound file. */
export function hostileFiles(kind: string, soundName: string): HostileFile[] {
  const sound = soundFile(soundName);
  const rows = JSON.parse(readFileSync(inRepository("test/fixtures/hostile/cases.json"), "utf8")) as readonly Row[];
  return rows
    .filter((row) => row.kind === kind)
    .map(({ parts, ...row }) => ({
      ...row,
      content: Buffer.concat(parts.map(([from, to]) => (typeof from === "number" ? sound.subarray(from, to) : repeated(from, to)))),
    }));
}

function repeated(unit: string, times: number): Buffer {
  const bytes = Buffer.from(unit, "hex");
  return Buffer.alloc(bytes.length * times, bytes);
}
