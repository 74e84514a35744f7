/** What a state file says of itself (`wasm/STATE_FORMAT.md`), without a model. */
import { toHex } from "../../workers/encoding/hex.ts";
import { parseHeader } from "../../workers/state-file/header.ts";
import { countOf, fileBytes, pagesOf } from "../../workers/state-file/layout.ts";

export interface StateGroup {
  /** Null where all of the past is seen. */
  readonly window: number | null;
  /** Tokens whose rows the file holds. */
  readonly tokens: number;
  /** Pages of 32 tokens that they lie in. */
  readonly pages: number;
  readonly bytesPerToken: number;
}

export interface StateFile {
  /** Tokens of text. */
  readonly tokens: number;
  readonly learnedSinks: number;
  readonly kept: number;
  readonly keysAndValues: "f32" | "int8";
  readonly recurrent: "f32" | "bf16";
  /** Of the model's shape. */
  readonly fingerprint: string;
  /** sha256 of the weights' file, where whoever saved it knew it. */
  readonly modelDigest: string | null;
  readonly tokenizerDigest: string | null;
  readonly headerBytes: number;
  readonly headBytes: number;
  readonly groups: readonly StateGroup[];
  /** Of the whole file. */
  readonly bytes: number;
}

/** Of the header's start, enough for any model's. */
export const mostHeaderBytes = 1 << 14;

/** @throws Error that names what is wrong with the file's first bytes. */
export function describeStateFile(first: Uint8Array): StateFile {
  if (new TextDecoder().decode(first.subarray(0, 4)) === "SBSF")
    throw new Error('It is sealed (it begins with "SBSF"): what it holds can be read only by whoever has its key.');
  const header = parseHeader(first);
  const { position, learnedSinks, kept, headBytes } = header;
  const known = (digest: string) => (/[^0]/.test(digest) ? digest : null);
  return {
    ...{ tokens: position - learnedSinks, learnedSinks, kept },
    keysAndValues: named("type of keys and values", ["f32", "int8"] as const, first[120]),
    recurrent: named("type of the recurrent part", ["f32", "bf16"] as const, first[121]),
    fingerprint: toHex(first.subarray(8, 40)),
    modelDigest: known(header.model),
    tokenizerDigest: known(header.tokenizer),
    ...{ headerBytes: header.bytes.length, headBytes, bytes: fileBytes(header) },
    groups: header.groups.map((group) => {
      const pages = [...pagesOf(header, group)];
      const tokens = pages.reduce((sum, { mask }) => sum + countOf(mask), 0);
      return { window: group.window === 0 ? null : group.window, tokens, pages: pages.length, bytesPerToken: group.tokenBytes };
    }),
  };
}

function named<T>(what: string, names: readonly T[], value: number | undefined): T {
  const name = names[value ?? NaN];
  if (name === undefined)
    throw new Error(`state file: its ${what} must be one of 0 to ${String(names.length - 1)}; it is ${String(value)}`);
  return name;
}
