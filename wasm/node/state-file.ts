/** What a state file says of itself (`wasm/STATE_FORMAT.md`), without a model. */

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

const version = 3;
const fixedBytes = 136;
const groupBytes = 8;
const pageTokens = 32;
/** No model has as many layers as would make more. */
export const mostHeaderBytes = fixedBytes + groupBytes * 1_024;

/** @throws Error that names what is wrong with the file's first bytes. */
export function describeStateFile(first: Uint8Array): StateFile {
  const text = new TextDecoder().decode(first.subarray(0, 4));
  if (text === "SBSF") throw new Error('It is sealed (it begins with "SBSF"): what it holds can be read only by whoever has its key.');
  if (text !== "SBST") throw new Error(`It must begin with "SBST"; it begins with ${JSON.stringify(text)}.`);
  expect("length", first.length >= fixedBytes, `at least ${String(fixedBytes)} bytes`, first.length);
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  const uint32 = (at: number) => view.getUint32(at, true);
  const uint64 = (at: number) => Number(view.getBigUint64(at, true));
  expect("version", uint32(4) === version, String(version), uint32(4));
  const [position, learnedSinks, kept, count] = [uint64(104), uint32(112), uint32(116), uint32(132)];
  expect("position", position >= learnedSinks && position <= 2 ** 30, `from ${String(learnedSinks)} to 2^30`, position);
  const keysAndValues = named("type of keys and values", ["f32", "int8"] as const, first[120]);
  const recurrent = named("type of the recurrent part", ["f32", "bf16"] as const, first[121]);
  const headerBytes = fixedBytes + groupBytes * count;
  expect("length", first.length >= headerBytes && headerBytes <= mostHeaderBytes, "that of its header", first.length);
  const groups = Array.from({ length: count }, (_, at) => {
    const window = uint32(fixedBytes + groupBytes * at);
    return { ...visible(window, kept, position), bytesPerToken: uint32(fixedBytes + groupBytes * at + 4) };
  });
  const headBytes = uint64(124);
  const bytes = groups.reduce((sum, group) => sum + group.tokens * group.bytesPerToken, headerBytes + headBytes);
  const digest = (at: number) => Array.from(first.subarray(at, at + 32), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const known = (at: number) => (/[^0]/.test(digest(at)) ? digest(at) : null);
  return {
    ...{ tokens: position - learnedSinks, learnedSinks, kept, keysAndValues, recurrent },
    ...{ fingerprint: digest(8), modelDigest: known(40), tokenizerDigest: known(72) },
    ...{ headerBytes, headBytes, groups, bytes },
  };
}

/** The tokens that the query at `position` sees: kept ones that are not in its window, then those within. */
function visible(window: number, kept: number, position: number): Omit<StateGroup, "bytesPerToken"> {
  const start = window === 0 ? 0 : Math.min(position, Math.max(0, position + 1 - window));
  const before = Math.min(kept, start);
  const pages = (from: number, to: number) => (to > from ? Math.ceil(to / pageTokens) - Math.floor(from / pageTokens) : 0);
  const shared = before > 0 && position > start && Math.floor((before - 1) / pageTokens) === Math.floor(start / pageTokens) ? 1 : 0;
  return {
    window: window === 0 ? null : window,
    tokens: before + position - start,
    pages: pages(0, before) + pages(start, position) - shared,
  };
}

function named<T>(what: string, names: readonly T[], value: number | undefined): T {
  const name = names[value ?? NaN];
  if (name === undefined) throw new Error(`Its ${what} must be one of 0 to ${String(names.length - 1)}; it is ${String(value)}.`);
  return name;
}

function expect(what: string, holds: boolean, rule: string, value: number): void {
  if (!holds) throw new Error(`Its ${what} must be ${rule}; it is ${String(value)}.`);
}
