/**
 * Rendezvous hashing: which of any set of backends an affinity belongs to, without a table. When one leaves or comes, only what belonged to it
 * moves. Each backend gets keys in proportion to its weight.
 */

/** Of those given, the `most` that the key belongs to first, best first. Weights are above 0. */
export function homesOf<T extends { readonly name: string; readonly weight: number }>(key: string, among: readonly T[], most: number): T[] {
  const keyHash = hashed(key, basis);
  const best: { readonly distance: number; readonly one: T }[] = [];
  for (const one of among) {
    // The smallest of exponential draws whose rates are the weights is each one's in proportion to its weight.
    const distance = -Math.log((mixed(hashed(one.name, keyHash)) + 0.5) / 2 ** 32) / one.weight;
    if (best.length === most && distance >= (best.at(-1)?.distance ?? 0)) continue;
    let position = best.length;
    while (position > 0 && (best[position - 1]?.distance ?? 0) > distance) position -= 1;
    best.splice(position, 0, { distance, one });
    if (best.length > most) best.pop();
  }
  return best.map(({ one }) => one);
}

/** FNV-1a over UTF-16 code units. */
const basis = 0x811c9dc5;

function hashed(text: string, from: number): number {
  let hash = from;
  for (let position = 0; position < text.length; position++) hash = Math.imul(hash ^ text.charCodeAt(position), 0x01000193);
  return hash >>> 0;
}

/** The finish of MurmurHash3: every bit of the result depends on every bit of the hash, which those of FNV do not. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
