/** How the server began an answer: with the state of what it had read before, or by reading. */
export interface CacheReport {
  readonly outcome: "hit" | "miss" | "rejected";
  /** Prompt tokens whose state was there. */
  readonly tokens: number;
  /** The server's few words for people. */
  readonly reason: string;
}

const cacheHeader = /^(hit|miss|rejected); tokens=(\d+); reason="([^"]*)"$/;

/** From `x-spikingbrain-cache`; null where there is none, or one this page cannot read. */
export function cacheReport(header: string | null): CacheReport | null {
  const [, outcome, tokens, reason] = cacheHeader.exec(header ?? "") ?? [];
  if (outcome !== "hit" && outcome !== "miss" && outcome !== "rejected") return null;
  return { outcome, tokens: Number(tokens), reason: reason ?? "" };
}
