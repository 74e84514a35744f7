/** State files of any shape, of texts of any tokens: rows and heads are hashes of the text, so that equal prefixes have equal rows. */
import { mix } from "./toy-state.ts";
import { joined } from "../../../workers/encoding/joined.ts";

export interface StateShape {
  readonly model: string;
  readonly tokenizer: string;
  readonly learnedSinks: number;
  readonly kept: number;
  /** Once anything has left a window. */
  readonly headBytes: number;
  readonly groups: readonly { readonly window: number; readonly tokenBytes: number }[];
  /** The type of the recurrent part: 0, exactly, unless set. */
  readonly recurrent?: number;
}

const pageTokens = 32;

/** The file of a text's state, without the rows of positions in pages before this one. */
export function stateFile(shape: StateShape, tokens: Uint32Array, fromPage = 0): Uint8Array<ArrayBuffer> {
  const { learnedSinks, kept, groups } = shape;
  const position = learnedSinks + tokens.length;
  const digests = prefixDigests(learnedSinks, tokens);
  const seen = groups.map(({ window }) => {
    const start = window === 0 ? 0 : Math.min(position, Math.max(0, position + 1 - window));
    return Array.from({ length: position }, (_, at) => at).filter((at) => at < Math.min(kept, start) || at >= start);
  });
  const isLossy = seen.some((positions) => positions.length < position || positions.length === 0);
  const headBytes = isLossy || groups.length === 0 ? shape.headBytes : 0;
  const header = new Uint8Array(136 + 8 * groups.length);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode("SBST"));
  view.setUint32(4, 3, true);
  header.fill(7, 8, 40);
  header.set(bytesOf(shape.model), 40);
  header.set(bytesOf(shape.tokenizer), 72);
  view.setBigUint64(104, BigInt(position), true);
  view.setUint32(112, learnedSinks, true);
  view.setUint32(116, kept, true);
  view.setUint8(120, 1);
  view.setUint8(121, shape.recurrent ?? 0);
  view.setBigUint64(124, BigInt(headBytes), true);
  view.setUint32(132, groups.length, true);
  for (const [at, { window, tokenBytes }] of groups.entries()) {
    view.setUint32(136 + 8 * at, window, true);
    view.setUint32(140 + 8 * at, tokenBytes, true);
  }
  const rows = groups.flatMap(({ tokenBytes }, group) =>
    (seen[group] ?? []).filter((at) => at >= fromPage * pageTokens).map((at) => noise(mix((digests[at] ?? 0) + group), tokenBytes)),
  );
  return joined([header, noise(mix((digests.at(-1) ?? 0) + 99), headBytes), ...rows]);
}

/** In chunks, as an engine sends it; breaks after so many bytes where that is wanted. */
export function streamOf(bytes: Uint8Array, { chunkBytes = 1 << 16, breakAfter = Infinity } = {}): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream(
    {
      type: "bytes",
      pull: (controller) => {
        if (at >= breakAfter) {
          controller.error(new Error("scripted break"));
        } else if (at >= bytes.length) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else {
          const end = Math.min(bytes.length, at + chunkBytes, breakAfter);
          controller.enqueue(bytes.slice(at, end));
          at = end;
        }
      },
    },
    { highWaterMark: 0 },
  );
}

function prefixDigests(learnedSinks: number, tokens: Uint32Array): number[] {
  let digest = 17;
  return [...new Uint32Array(learnedSinks), ...tokens].map((token) => (digest = mix(digest ^ mix(token + 1))));
}

function noise(seed: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let at = 0; at < words.length; at++) words[at] = state = mix(state + at);
  return new Uint8Array(words.buffer, 0, length);
}

function bytesOf(digest: string): Uint8Array {
  return Uint8Array.from(digest.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
