/** A node as the pool sees it: its messages, signed as they should be or altered, and a registry of its own for each test. */
import { createHash, createHmac } from "node:crypto";
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { randomHex } from "../../../../workers/encoding/hex.ts";
import { ServiceError, type ServiceFailure } from "../../../../workers/contracts/errors.ts";
import type { NodeMessage, NodeReply } from "../../../../workers/contracts/pool.ts";
import type { PoolObject } from "../../../../workers/pool/registry/pool-object.ts";
import { snapshotOf, tellRegistry, type RegistryEnvironment } from "../../../../workers/pool/registry/tell.ts";
import type { Replica } from "../../../../workers/pool/replica.ts";

export const secretOf = { one: new Uint8Array(32).fill(1), two: new Uint8Array(32).fill(2) } as const;
export type NodeName = keyof typeof secretOf;

const bindings = env as unknown as RegistryEnvironment;
export const path = "/v1/pool/replicas";

export const model = {
  id: "spikingbrain-7b",
  digest: "ab".repeat(32),
  tokenizer_digest: "cd".repeat(32),
  architecture: "spikingbrain",
  parameters: 7_600_000_000,
  vocabulary_size: 152_064,
  context_length: 32_768,
  abilities: ["states", "continued"],
  kernel: "vllm-0.32.0",
  state: null,
  spikes: null,
};

export const body = {
  name: "seven-1",
  address: "https://seven-1.pool.example.com",
  kind: "vllm",
  status: "ready",
  sequence: 1,
  started: 1_800_000_000,
  place: "AMS",
  weight: 1,
  models: [model],
  load: { running: 2, waiting: 0, most_requests: 32, most_running: 8, free_share: 0.75, loaded: true },
  versions: { vllm: "0.32.0", torch: "2.10.0+cpu" },
};
export type Body = Partial<Record<keyof typeof body, unknown>>;

export interface Sending {
  readonly node?: NodeName;
  readonly secret?: Uint8Array;
  readonly nonce?: string;
  /** Unix seconds; the clock's unless given. */
  readonly timestamp?: number;
  readonly bytes?: Uint8Array;
}

/** The signature is computed here by other code than the pool's. */
export function signed(said: Body, { node = "one", secret, nonce, timestamp, bytes }: Sending = {}): NodeMessage {
  const sent = bytes ?? new TextEncoder().encode(JSON.stringify({ ...body, ...said }));
  const time = String(timestamp ?? Math.floor(Date.now() / 1_000));
  const once = nonce ?? randomHex();
  const digest = createHash("sha256").update(sent).digest("hex");
  const text = ["spikingbrain node 1", "POST", path, time, once, digest].join("\n");
  const signature = createHmac("sha256", secret ?? secretOf[node])
    .update(text)
    .digest("hex");
  return { method: "POST", path, node, timestamp: time, nonce: once, signature, body: sent };
}

/** A registry with nothing in it. */
export class Registry {
  static #count = 0;
  readonly #name = `registry-${String(++Registry.#count)}-${crypto.randomUUID()}`;
  readonly environment: RegistryEnvironment;
  #sequence = 0;

  constructor(variables: Partial<RegistryEnvironment> = {}) {
    const object = this.object;
    const namespace = { getByName: () => object } as unknown as RegistryEnvironment["POOL_OBJECT"];
    this.environment = { ...bindings, ...variables, POOL_OBJECT: namespace };
  }

  get object(): DurableObjectStub<PoolObject> {
    return bindings.POOL_OBJECT.getByName(this.#name);
  }

  send(message: NodeMessage): Promise<NodeReply> {
    return tellRegistry(this.environment, message);
  }

  /** With the next number of a sequence that all messages of this registry share, unless the body has one. */
  tell(said: Body = {}, sending: Sending = {}): Promise<NodeReply> {
    return this.send(signed({ sequence: ++this.#sequence, ...said }, sending));
  }

  async refusal(said: Body = {}, sending: Sending = {}): Promise<ServiceFailure> {
    return await failureOf(this.tell(said, sending));
  }

  async replicas(): Promise<readonly Replica[]> {
    return (await snapshotOf(this.environment)).replicas;
  }

  async names(): Promise<string[]> {
    return (await this.replicas()).map(({ name }) => name);
  }

  inside<T>(work: (object: PoolObject, state: DurableObjectState) => T | Promise<T>): Promise<T> {
    return runInDurableObject(this.object, work);
  }
}

export async function failureOf(call: Promise<unknown>): Promise<ServiceFailure> {
  try {
    await call;
  } catch (cause) {
    if (cause instanceof ServiceError) return cause.failure;
    throw cause;
  }
  throw new Error("it was taken");
}
