/** How the state of what a request repeats was found: `x-spikingbrain-cache` says it. */
export interface CacheReport {
  readonly outcome: "hit" | "miss" | "rejected";
  /** Prompt tokens whose state was there. */
  readonly tokens: number;
  /** One word or a few, for people: why not, or from which tier. */
  readonly reason: string;
}
