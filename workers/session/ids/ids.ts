/**
 * Names of sessions, contexts, shares and streams: `sess_…`, `ctx_…`, `share_…` and `PLACE NUMBER-…`, then 32 hexadecimal digits that nobody can
 * guess and 16 that sign what stands before them. Whoever looks an id up that was never given out learns so from the id alone: no object is
 * touched, so none comes into being.
 */
import { randomHex } from "../../encoding/hex.ts";
import { signaturesOf, type IdKeys } from "./id-keys.ts";

export type IdPrefix = "sess" | "ctx" | "share";

const objectsAPlace = 16;
const signatureDigits = 16;
const signedId = /^((?:sess|ctx|share)_[0-9a-f]{32}|[a-z]{2,8}[0-9]{2}-[0-9a-f]{32})([0-9a-f]{16})$/;
const streamId = /^([a-z]{2,8}[0-9]{2})-/;

/** Only the tenant that it was made for can use it; null: whoever has it, or somebody without a key. */
export type IdHolder = string | null;

/** @throws ServiceError where the secrets break their rule. */
export async function newId(keys: IdKeys, prefix: IdPrefix, holder: IdHolder): Promise<string> {
  return await signed(keys, `${prefix}_${randomHex()}`, holder);
}

/**
 * A stream's first part names the object that runs it: an object for each would cost more than the answer, one for all would be far from most.
 * `place` is the data centre that took the request, where the runtime tells it.
 */
export async function newStreamId(keys: IdKeys, place: string | undefined, holder: IdHolder): Promise<string> {
  const known = /^[a-z]{2,8}$/i.test(place ?? "") ? (place ?? "").toLowerCase() : "edge";
  const number = String((crypto.getRandomValues(new Uint8Array(1))[0] ?? 0) % objectsAPlace).padStart(2, "0");
  return await signed(keys, `${known}${number}-${randomHex()}`, holder);
}

/** Whether it was given out to this holder, as one of these kinds. @throws ServiceError where the secrets break their rule. */
export async function isGivenOut(keys: IdKeys, id: string, holder: IdHolder, ...kinds: readonly (IdPrefix | "stream")[]): Promise<boolean> {
  const [, text = "", signature = ""] = signedId.exec(id) ?? [];
  if (text === "" || !kinds.includes(kindOf(text))) return false;
  const right = await signaturesOf(keys, signedText(text, holder));
  return right.some((one) => equals(one.slice(0, signatureDigits), signature));
}

/** The name of the object that runs a stream; undefined for what is no stream's name. */
export const streamObjectName = (stream: string): string | undefined => streamId.exec(stream)?.[1];

async function signed(keys: IdKeys, text: string, holder: IdHolder): Promise<string> {
  const [newest = ""] = await signaturesOf(keys, signedText(text, holder));
  return text + newest.slice(0, signatureDigits);
}

const signedText = (text: string, holder: IdHolder) => `${text}\n${holder ?? ""}`;

function kindOf(text: string): IdPrefix | "stream" {
  const [prefix = ""] = text.split("_");
  return prefix === "sess" || prefix === "ctx" || prefix === "share" ? prefix : "stream";
}

/** In a time that does not tell where they differ. */
function equals(left: string, right: string): boolean {
  let difference = left.length ^ right.length;
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at);
  return difference === 0;
}
