/**
 * Digests of a text's prefixes by its tokens, page by page: each covers the one before it, so that equal digests mean equal prefixes. They
 * begin with model, tokenizer and tenant: the same text of somebody else's, or for another model, has other digests.
 */
import { fromHex, toHex } from "../../../encoding/hex.ts";
import { pageTokens } from "../../../state-file/page.ts";
import type { ModelIdentity, TokenChain } from "../contract.ts";

export const digestBytes = 32;

/** The chain of a text, or of one that begins with the text of `known`, whose pages are not computed again. */
export async function tokenChain(
  identity: ModelIdentity,
  tenant: string,
  tokens: Uint32Array,
  known?: Pick<TokenChain, "pages">,
): Promise<TokenChain> {
  const count = Math.floor(tokens.length / pageTokens);
  const pages = new Uint8Array(count * digestBytes);
  const had = Math.min(count, Math.floor((known?.pages.length ?? 0) / digestBytes));
  if (known !== undefined) pages.set(known.pages.subarray(0, had * digestBytes));
  const origin = await originDigest(identity, tenant);
  let previous = had === 0 ? origin : pages.subarray((had - 1) * digestBytes, had * digestBytes);
  for (let page = had; page < count; page++) {
    previous = await digest(previous, tokens.subarray(page * pageTokens, (page + 1) * pageTokens));
    pages.set(previous, page * digestBytes);
  }
  return { origin: toHex(origin), pages, tail: toHex(await digest(previous, tokens.subarray(count * pageTokens))), tokens: tokens.length };
}

/** Digest of the first `pages` whole pages of a chain and these tokens after them: what a text's tail is that ends there. */
export async function tailDigest(chain: TokenChain, pages: number, rest: Uint32Array): Promise<string> {
  const previous = pages === 0 ? fromHex(chain.origin) : chain.pages.subarray((pages - 1) * digestBytes, pages * digestBytes);
  return toHex(await digest(previous, rest));
}

async function originDigest({ model, tokenizer }: ModelIdentity, tenant: string): Promise<Uint8Array> {
  const text = `spikingbrain token chain 1\n${model}\n${tokenizer}\n${tenant}`;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

async function digest(previous: Uint8Array, tokens: Uint32Array): Promise<Uint8Array> {
  const bytes = new Uint8Array(previous.length + tokens.length * Uint32Array.BYTES_PER_ELEMENT);
  bytes.set(previous);
  const view = new DataView(bytes.buffer, previous.length);
  for (const [at, token] of tokens.entries()) view.setUint32(at * Uint32Array.BYTES_PER_ELEMENT, token, true);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
