/** The plain beginning of a session file: `SBSF`, u32 version, u32 length of the header, the header as JSON. Numbers are little-endian. */
import { ServiceError } from "../contracts/errors.ts";
import { snapshotInvalid } from "../state-file/failures.ts";
import { ByteReader } from "../state-file/byte-reader.ts";

export interface FileHeader {
  /** sha256 of the weights file and of the tokenizer, hex. */
  readonly model: string;
  readonly tokenizer: string;
  readonly tokens: number;
  /** Unix seconds. */
  readonly created: number;
  readonly sealed: SealedBy;
}

/** `salt` is base64. */
export type SealedBy =
  | { readonly by: "tenant"; readonly key: string; readonly salt: string }
  | { readonly by: "passphrase"; readonly kdf: "PBKDF2-SHA-256"; readonly rounds: number; readonly salt: string };

export const fileMagic = "SBSF";
/**
 * The first is written wherever it can, so that older readers open what they understand: 2 has messages with function calls, 3 speakers' names, and what
 * a conversation begins with.
 */
const fileVersions = [1, 2, 3] as const;
const anyOf = new Intl.ListFormat("en", { type: "disjunction" });
export type FileVersion = (typeof fileVersions)[number];
const fixedBytes = 12;
const mostHeaderBytes = 64 << 10;
const digestPattern = /^[0-9a-f]{64}$/;

export function headerBytes(header: FileHeader, version: FileVersion = 1): Uint8Array {
  const encoder = new TextEncoder();
  const json = encoder.encode(JSON.stringify(header));
  const bytes = new Uint8Array(fixedBytes + json.length);
  bytes.set(encoder.encode(fileMagic));
  const view = new DataView(bytes.buffer);
  view.setUint32(4, version, true);
  view.setUint32(8, json.length, true);
  bytes.set(json, fixedBytes);
  return bytes;
}

/** A file's header without what it seals. @throws ServiceError `snapshot_invalid` that says what is wrong with it. */
export async function readFileHeader(file: ReadableStream<Uint8Array>): Promise<FileHeader> {
  const reader = new ByteReader(file);
  try {
    return (await takeHeader(reader)).header;
  } finally {
    await reader.cancel("the header is enough");
  }
}

/** `bytes`: all before the first chunk, which the chunks' seals cover. @throws ServiceError; RangeError where the file ends in it. */
export async function takeHeader(reader: ByteReader): Promise<{ readonly header: FileHeader; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const fixed = await reader.exact(fixedBytes);
  const magic = new TextDecoder().decode(fixed.subarray(0, 4));
  if (magic !== fileMagic) throw invalidFile(`it must start with '${fileMagic}'`);
  const view = new DataView(fixed.buffer);
  const [version, length] = [view.getUint32(4, true), view.getUint32(8, true)];
  if (!(fileVersions as readonly number[]).includes(version))
    throw invalidFile(`its version must be ${anyOf.format(fileVersions.map(String))}; it is ${String(version)}`);
  if (length > mostHeaderBytes) throw invalidFile(`its header may have ${String(mostHeaderBytes)} bytes; it has ${String(length)}`);
  const json = await reader.exact(length);
  const bytes = new Uint8Array(fixedBytes + length);
  bytes.set(fixed);
  bytes.set(json, fixedBytes);
  return { header: parsed(json), bytes };
}

export function invalidFile(what: string): ServiceError {
  return new ServiceError(snapshotInvalid(`The session file is not valid: ${what}.`));
}

function parsed(json: Uint8Array): FileHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(json));
  } catch {
    throw invalidFile("its header is not JSON");
  }
  const { model, tokenizer, tokens, created, sealed } = (value ?? {}) as Partial<Record<keyof FileHeader, unknown>>;
  if (!isDigest(model) || !isDigest(tokenizer)) throw invalidFile("its header must name model and tokenizer by their digests");
  if (!isCount(tokens) || !isCount(created)) throw invalidFile("its header must have the numbers tokens and created");
  if (!isSealedBy(sealed)) throw invalidFile("its header must say how it is sealed");
  return { model, tokenizer, tokens, created, sealed };
}

const isDigest = (value: unknown): value is string => typeof value === "string" && digestPattern.test(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Which keys and how many rounds are taken, who makes the key decides. */
function isSealedBy(value: unknown): value is SealedBy {
  const { by, key, kdf, rounds, salt } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (typeof salt !== "string") return false;
  return by === "tenant" ? typeof key === "string" : by === "passphrase" && kdf === "PBKDF2-SHA-256" && isCount(rounds);
}
