/** What a tenant's snapshot store offers to the rest of the session Worker. */
import type { Outcome } from "../../contracts/outcome.ts";

/** A state means something to one model and one tokenizer only. */
export interface ModelIdentity {
  /** sha256 of the weights file, hex. */
  readonly model: string;
  /** sha256 of what the tokenizer is made from, hex. */
  readonly tokenizer: string;
}

/**
 * Names a text's prefixes by its tokens: `digest(i)` covers the identity and the first 32 (i + 1) tokens, so that equal digests mean equal
 * prefixes. Tokens and not text, because a state is one of tokens: an answer whose text reads the same in other tokens is another one.
 */
export interface TokenChain {
  /** What the first page's digest covers beside its tokens, hex. */
  readonly origin: string;
  /** 32 bytes for each whole page of 32 tokens. */
  readonly pages: Uint8Array;
  /** Digest over the last page's digest and the tokens after it, hex. */
  readonly tail: string;
  /** Length of the text in tokens. */
  readonly tokens: number;
}

/** A snapshot of a prefix of the text that was asked for. */
export interface Candidate {
  readonly id: string;
  /** Tokens it has read. */
  readonly tokens: number;
  /** Whole pages that it and the text have in common. */
  readonly commonPages: number;
  /** Its own chain's tail: what its tokens after the last whole page must be. */
  readonly tail: string;
  /** Whether it can be cut to any earlier position, because nothing has left a window yet. */
  readonly cuttable: boolean;
  readonly tier: Tier;
}

/** `hot`: the tenant's Durable Object. `near`: KV, near every edge. `durable`: R2. */
export type Tier = "hot" | "near" | "durable";

export interface Findings {
  /** Longest first, at most eight. */
  readonly candidates: readonly Candidate[];
  /** How many tokens of this text have come so often without a state that saving one there pays; a multiple of 32, below the text's length. */
  readonly worthSaving: number | null;
}

export interface OpenedSnapshot {
  readonly tokens: number;
  readonly tier: Tier;
  /** A state file, in chunks of at most 1 MiB; breaks where a chunk is not valid. */
  readonly bytes: ReadableStream<Uint8Array>;
}

export interface PutOrder {
  readonly identity: ModelIdentity;
  /** Tokens the state has read. */
  readonly tokens: number;
  /** The snapshot that it grew from and whose pages before `fromPage` it shares; null with `fromPage` 0. */
  readonly parent: string | null;
  readonly fromPage: number;
  /** By which stock clients find it; null for one that only its owner uses. */
  readonly chain: TokenChain | null;
  /** Who keeps it from being evicted, such as `session:ID:TURN`; null for a cached snapshot. */
  readonly owner: string | null;
  /** Unix milliseconds. Of a cached snapshot the store decides. */
  readonly expires: number | null;
}

export interface StoredSnapshot {
  readonly id: string;
  readonly tokens: number;
  /** What this put has written, sealed. */
  readonly writtenBytes: number;
  /** The whole file's length. */
  readonly fileBytes: number;
}

/** Methods of the tenant's object. Ids come from `find` and `put` alone, and are unguessable. */
export interface SnapshotStore {
  find(identity: ModelIdentity, chain: TokenChain): Promise<Findings>;
  /**
   * Cut to `keep` tokens, where that is fewer than it has read and it can be cut; without rows of tokens in pages before `fromPage`, which is 0
   * where it is left out.
   */
  open(id: string, keep: number, fromPage?: number): Promise<Outcome<OpenedSnapshot>>;
  /** `bytes` as an engine saves them from page `fromPage` on. */
  put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>>;
  /** Several owners may keep one snapshot: forks do. */
  keep(id: string, owner: string, expires: number): Promise<Outcome<null>>;
  /** Lets go of all that owners with this prefix keep; what nobody keeps becomes a cached snapshot or goes. */
  release(ownerPrefix: string): Promise<void>;
  /** Of one snapshot: where it lies and what it takes; null if it is gone. */
  facts(id: string): Promise<{ readonly tier: Tier; readonly fileBytes: number; readonly ownBytes: number } | null>;
}
