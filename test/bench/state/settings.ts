/** What is measured, as the environment asks for it: long histories take an hour to read, and one part is enough while it is worked on. */

export const partNames = ["resume", "sessions", "lengths", "costs", "replay", "misses"] as const;
export type PartName = (typeof partNames)[number];

export interface StateSettings {
  /** Tokens of history, ascending; the first is what the others are compared with. */
  readonly histories: readonly number[];
  readonly conversations: number;
  readonly parts: readonly PartName[];
  /** UTF-8 file whose beginning is the histories' text; a text that counts without end where there is none. */
  readonly textFile: string | null;
}

const defaultHistories = "1000,4000,16000";
const defaultConversations = "200";

/** @throws Error that names the variable, its rule and its value. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): StateSettings {
  const list = (name: string, fallback: string) => (environment[name] ?? fallback).split(",").map((part) => part.trim());
  const histories = list("STATE_HISTORIES", defaultHistories).map((text) => wholeNumber("STATE_HISTORIES", text, 64, 4_000_000));
  const [conversations = NaN] = list("STATE_CONVERSATIONS", defaultConversations).map((text) =>
    wholeNumber("STATE_CONVERSATIONS", text, 1, 10_000),
  );
  return {
    histories: [...new Set(histories)].sort((left, right) => left - right),
    conversations,
    parts: list("STATE_PARTS", partNames.join(",")).map(partName),
    textFile: environment["STATE_TEXT"] ?? null,
  };
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be made of whole numbers from ${least} to ${most}; one is "${text}".`);
}

function partName(text: string): PartName {
  const name = partNames.find((other) => other === text);
  if (name === undefined) throw new Error(`STATE_PARTS must be made of ${partNames.join(", ")}; one is "${text}".`);
  return name;
}
