/** A tenant's store in the real runtime, texts and states for it, and what can happen to it. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import type { Outcome } from "../../../../workers/contracts/outcome.ts";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { tokenChain } from "../../../../workers/session/snapshots/index/chain.ts";
import type {
  ModelIdentity,
  OpenedSnapshot,
  PutOrder,
  SnapshotStore,
  StoredSnapshot,
} from "../../../../workers/session/snapshots/contract.ts";
import type { StoreUsage, TenantObject } from "../../../../workers/session/snapshots/tenant-object.ts";
import { seeded } from "../../support/dice.ts";
import { stateFile, streamOf, type StateShape } from "../../support/state-files.ts";
import { joined } from "../../../../workers/encoding/joined.ts";

export const bindings = env as unknown as SessionEnvironment;

export const identity: ModelIdentity = { model: "ab".repeat(32), tokenizer: "cd".repeat(32) };

/** A window of 40 tokens beside one of 96, 4 kept ones, and sums of a little over one chunk. */
export const windowed: StateShape = {
  ...identity,
  ...{ learnedSinks: 0, kept: 4, headBytes: 3_000 },
  groups: [
    { window: 40, tokenBytes: 24 },
    { window: 96, tokenBytes: 10 },
  ],
};

/** All of the past beside a window; learned sinks; one page of the first is more than one chunk. */
export const hybrid: StateShape = {
  ...identity,
  ...{ learnedSinks: 3, kept: 3, headBytes: (1 << 20) + 5_000 },
  groups: [
    { window: 0, tokenBytes: 40_000 },
    { window: 50, tokenBytes: 8 },
  ],
};

export interface Tenant extends SnapshotStore {
  deleteAll(): Promise<void>;
  usage(): Promise<StoreUsage>;
}

let tenants = 0;
export const newTenant = () => `${(++tenants).toString(16).padStart(8, "0")}${crypto.randomUUID().replaceAll("-", "").slice(8)}`;

export const objectOf = (tenant: string) => bindings.TENANT_OBJECT.getByName(tenant);

export const storeOf = (tenant: string): Tenant => objectOf(tenant);

export const inside = <T>(tenant: string, work: (object: TenantObject, state: DurableObjectState) => T | Promise<T>): Promise<T> =>
  runInDurableObject(objectOf(tenant), work);

export function randomTokens(count: number, seed: number): Uint32Array {
  const dice = seeded(seed);
  return Uint32Array.from({ length: count }, () => dice.below(50_000));
}

export interface PutOptions {
  readonly shape?: StateShape;
  readonly parent?: string | null;
  readonly fromPage?: number;
  readonly owner?: string | null;
  readonly expires?: number | null;
  /** Whether others can find it by its tokens. */
  readonly isFindable?: boolean;
  readonly breakAfter?: number;
  /** In place of the text's file. */
  readonly file?: Uint8Array;
}

export async function put(tenant: string, tokens: Uint32Array, options: PutOptions = {}): Promise<Outcome<StoredSnapshot>> {
  const { shape = windowed, parent = null, fromPage = 0, owner = null, expires = null, isFindable = true } = options;
  const order: PutOrder = {
    ...{ identity, tokens: tokens.length, parent, fromPage, owner, expires },
    chain: isFindable ? await tokenChain(identity, tenant, tokens) : null,
  };
  const file = options.file ?? stateFile(shape, tokens, fromPage);
  return await storeOf(tenant).put(order, streamOf(file, options.breakAfter === undefined ? {} : { breakAfter: options.breakAfter }));
}

export async function find(tenant: string, tokens: Uint32Array) {
  return await storeOf(tenant).find(identity, await tokenChain(identity, tenant, tokens));
}

/** The whole file; a failure, or what broke the stream, as text. */
export async function read(store: Pick<SnapshotStore, "open">, id: string, keep = Infinity, fromPage = 0): Promise<Uint8Array | string> {
  const outcome: Outcome<OpenedSnapshot> = await store.open(id, keep, fromPage);
  if (!outcome.ok) return outcome.failure.message;
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of outcome.value.bytes as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  } catch (cause) {
    return `broken: ${String(cause)}`;
  }
  return joined(chunks);
}

/** "same", or where two files first differ: a diff of megabytes helps nobody. */
export function compare(actual: Uint8Array | string, expected: Uint8Array): string {
  if (typeof actual === "string") return actual;
  const at = expected.findIndex((byte, index) => actual[index] !== byte);
  if (at < 0 && actual.length === expected.length) return "same";
  return `differs at ${String(at)} of ${String(expected.length)} bytes; has ${String(actual.length)}`;
}

export function stored(outcome: Outcome<StoredSnapshot>): StoredSnapshot {
  if (!outcome.ok) throw new Error(outcome.failure.message);
  return outcome.value;
}
