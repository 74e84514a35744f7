/** A state file's header (`wasm/STATE_FORMAT.md`): all that a store has to know of a state. */
import { ServiceError } from "../contracts/errors.ts";
import { snapshotInvalid } from "./failures.ts";
import type { ByteReader } from "./byte-reader.ts";
import { toHex } from "../encoding/hex.ts";

const fileMagic = "SBST";
const fileVersion = 3;
const fixedBytes = 136;
const groupBytes = 8;
const positionAt = 104;
/** Of one group each; the largest model that there is has a handful. */
const mostGroups = 1_024;
const mostPosition = 2 ** 30;
/** One token's rows: a page of them is held in memory. */
const mostTokenBytes = 1 << 19;

export interface StateGroup {
  /** Tokens that a query sees, itself included; 0 where all of the past is seen. */
  readonly window: number;
  readonly tokenBytes: number;
}

export interface StateHeader {
  readonly bytes: Uint8Array;
  /** Of the weights' file and of the tokenizer, hex; zeros where the writer did not know them. */
  readonly model: string;
  readonly tokenizer: string;
  /** Tokens read, learned sinks included. */
  readonly position: number;
  readonly learnedSinks: number;
  /** Leading positions that every token sees. */
  readonly kept: number;
  readonly headBytes: number;
  readonly groups: readonly StateGroup[];
}

/** @throws ServiceError `snapshot_invalid` that names what is not valid. @throws RangeError where the file ends within its header. */
export async function readHeader(reader: ByteReader): Promise<StateHeader> {
  const fixed = await reader.exact(fixedBytes);
  const groups = view(fixed).getUint32(132, true);
  require("number of groups", groups <= mostGroups, `at most ${String(mostGroups)}`, groups);
  const rest = await reader.exact(groups * groupBytes);
  const bytes = new Uint8Array(fixed.length + rest.length);
  bytes.set(fixed);
  bytes.set(rest, fixed.length);
  return parseHeader(bytes);
}

/** Of bytes that begin with a whole header. @throws ServiceError `snapshot_invalid` that names what is not valid. */
export function parseHeader(file: Uint8Array): StateHeader {
  require("length", file.length >= fixedBytes, `at least ${String(fixedBytes)}`, file.length);
  const fields = view(file);
  const magic = new TextDecoder().decode(file.subarray(0, 4));
  require("magic", magic === fileMagic, fileMagic, JSON.stringify(magic));
  require("version", fields.getUint32(4, true) === fileVersion, String(fileVersion), fields.getUint32(4, true));
  const written = fields.getBigUint64(positionAt, true);
  const position = Number(written);
  const learnedSinks = fields.getUint32(112, true);
  const kept = fields.getUint32(116, true);
  require("position", position >= learnedSinks && position <= mostPosition, `from ${String(learnedSinks)} to 2^30`, written);
  require("field of zeros", fields.getUint16(122, true) === 0, "0", fields.getUint16(122, true));
  const claimed = fields.getBigUint64(124, true);
  require("head", claimed <= BigInt(Number.MAX_SAFE_INTEGER), "below 2^53 bytes", claimed);
  const headBytes = Number(claimed);
  const count = fields.getUint32(132, true);
  const length = fixedBytes + count * groupBytes;
  require("number of groups", count <= mostGroups && file.length >= length, "one that its length allows", count);
  const groups = Array.from({ length: count }, (_, at) => {
    const tokenBytes = fields.getUint32(fixedBytes + groupBytes * at + 4, true);
    require("bytes of one token", tokenBytes > 0 && tokenBytes <= mostTokenBytes, `from 1 to ${String(mostTokenBytes)}`, tokenBytes);
    return { window: fields.getUint32(fixedBytes + groupBytes * at, true), tokenBytes };
  });
  const digest = (at: number) => toHex(file.subarray(at, at + 32));
  return {
    ...{ bytes: file.slice(0, length), model: digest(40), tokenizer: digest(72) },
    ...{ position, learnedSinks, kept, headBytes, groups },
  };
}

/** The header of the same file cut to an earlier position. */
export function cutHeader(header: StateHeader, position: number): StateHeader {
  const bytes = header.bytes.slice();
  view(bytes).setBigUint64(positionAt, BigInt(position), true);
  return { ...header, bytes, position };
}

/** Equal where two files' rows of one token are the same bytes: all but position and head, whose type is at 121. */
export function layoutOf({ bytes }: StateHeader): string {
  const layout = bytes.slice();
  layout
    .fill(0, positionAt, positionAt + 8)
    .fill(0, 121, 122)
    .fill(0, 124, 132);
  return toHex(layout);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function require(what: string, holds: boolean, rule: string, value: unknown): void {
  if (!holds) throw new ServiceError(snapshotInvalid(`state file: its ${what} must be ${rule}; it is ${String(value)}`));
}
