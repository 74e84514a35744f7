/** What a state file says of itself (`wasm/STATE_FORMAT.md`), without a model. */
import { open } from "node:fs/promises";
import { toHex } from "../../workers/encoding/hex.ts";
import { parseHeader } from "../../workers/state-file/header.ts";
import { extentOf, fileBytes } from "../../workers/state-file/layout.ts";

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
const mostHeaderBytes = 1 << 14;

/** @throws Error that names the file and what is wrong with its header or its length. */
export async function readStateFile(file: string): Promise<StateFile> {
  const handle = await open(file).catch((cause: unknown) => {
    throw new Error(`"${file}" cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(mostHeaderBytes), 0, mostHeaderBytes, 0);
    return describeStateFile(buffer.subarray(0, bytesRead), (await handle.stat()).size);
  } catch (cause) {
    throw new Error(`"${file}" is no whole state file. ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    await handle.close();
  }
}

/** Of a file of `size` bytes that begins with `first`. @throws Error that names what is wrong with its header or its length. */
export function describeStateFile(first: Uint8Array, size: number): StateFile {
  if (new TextDecoder().decode(first.subarray(0, 4)) === "SBSF")
    throw new Error('It is sealed (it begins with "SBSF"): what it holds can be read only by whoever has its key.');
  const header = parseHeader(first);
  const told = fileBytes(header);
  if (size !== told) throw new Error(`Its header tells of ${String(told)} bytes; it has ${String(size)}.`);
  const { position, learnedSinks, kept, headBytes } = header;
  const known = (digest: string) => (/[^0]/.test(digest) ? digest : null);
  return {
    ...{ tokens: position - learnedSinks, learnedSinks, kept },
    keysAndValues: named("type of keys and values", ["f32", "int8"] as const, first[120]),
    recurrent: named("type of the recurrent part", ["f32", "bf16"] as const, first[121]),
    fingerprint: toHex(first.subarray(8, 40)),
    modelDigest: known(header.model),
    tokenizerDigest: known(header.tokenizer),
    ...{ headerBytes: header.bytes.length, headBytes, bytes: told },
    groups: header.groups.map((group) => {
      const { tokens, pages } = extentOf(header, group);
      return { window: group.window === 0 ? null : group.window, tokens, pages, bytesPerToken: group.tokenBytes };
    }),
  };
}

function named<T>(what: string, names: readonly T[], value: number | undefined): T {
  const name = names[value ?? NaN];
  if (name === undefined)
    throw new Error(`state file: its ${what} must be one of 0 to ${String(names.length - 1)}; it is ${String(value)}`);
  return name;
}
