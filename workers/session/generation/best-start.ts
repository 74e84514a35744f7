/** Which of the snapshots that share a prefix with a prompt saves most of its reading. */
import { tailDigest } from "../snapshots/index/chain.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { Candidate, TokenChain } from "../snapshots/contract.ts";

export interface BestStart {
  readonly candidate: Candidate;
  /** Tokens whose state is taken: all that it has read, or as many of them as the prompt begins with. */
  readonly tokens: number;
}

/** At most all of the prompt but its last token, which has to be read for there to be a next one; undefined where nothing is of use. */
export async function bestStart(candidates: readonly Candidate[], chain: TokenChain, prompt: Uint32Array): Promise<BestStart | undefined> {
  let best: BestStart | undefined;
  for (const candidate of candidates) {
    const tokens = await usableTokens(candidate, chain, prompt);
    if (tokens > (best?.tokens ?? 0)) best = { candidate, tokens };
  }
  return best;
}

async function usableTokens(candidate: Candidate, chain: TokenChain, prompt: Uint32Array): Promise<number> {
  const most = prompt.length - 1;
  const common = candidate.commonPages * pageTokens;
  if (await isPrefix(candidate, chain, prompt)) return candidate.tokens <= most ? candidate.tokens : candidate.cuttable ? most : 0;
  return candidate.cuttable ? Math.min(common, most) : 0;
}

/** Whether the prompt begins with all of the candidate's tokens. */
async function isPrefix({ tokens, commonPages, tail }: Candidate, chain: TokenChain, prompt: Uint32Array): Promise<boolean> {
  const pages = Math.floor(tokens / pageTokens);
  if (tokens > prompt.length || commonPages < pages) return false;
  return (await tailDigest(chain, pages, prompt.subarray(pages * pageTokens, tokens))) === tail;
}
