/**
 * The registry: which replicas there are. One object for the whole pool, since plans must agree on whose name is whose; it is asked for a
 * snapshot by every isolate every two seconds or so, and told by every replica every few. All of it comes back by itself with the next
 * messages when it is lost.
 */
import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/outcome.ts";
import type { NodeReply } from "../../contracts/pool.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { addressProblem, addressRules, type AddressRules } from "./address.ts";
import { messageOld, messageRepeated, nameTaken, tooManyMessages, tooManyReplicas } from "./failures.ts";
import type { ReplicaMessage } from "./message.ts";
import { nodeSecrets, windowSeconds, type NodeSecrets, type SignedMessage } from "./node-credential.ts";
import { RegistryRows, type ReplicaRow } from "./rows.ts";
import { registrySettings, type RegistrySettings } from "./settings.ts";

export interface RegistryVariables {
  /** Nodes that may register replicas: `node1:BASE64,node2:…`, each secret 32 bytes. None: no replica registers. */
  readonly POOL_NODES?: string;
  /** Hosts that replicas may have, exact or `*.suffix`, separated by commas. */
  readonly POOL_HOSTS?: string;
  /** `allow` takes addresses of this machine, over plain HTTP: for development. */
  readonly POOL_LOOPBACK?: string;
  /** Where it is bound, replicas are reached through it alone. */
  readonly POOL_NETWORK?: object;
  /** A service token of Cloudflare Access, `CLIENT_ID:CLIENT_SECRET`, for replicas behind a tunnel that asks for one; a secret. */
  readonly POOL_ACCESS?: string;
  /** Seconds between two messages of a replica; 5 unless set. */
  readonly POOL_HEARTBEAT_SECONDS?: string;
  /** Seconds without a message after which a replica gets no more work; 20 unless set. */
  readonly POOL_EXPIRY_SECONDS?: string;
}

const mostReplicas = 1_024;
const mostReplicasOfNode = 64;
/** Names of a node that are remembered, those of replicas that have left lately too. */
const mostNamesOfNode = 4 * mostReplicasOfNode;
/** Twice what so many replicas say in two windows at one message a second. */
export const mostMessages = 4 * mostReplicasOfNode * windowSeconds;

export type SignedFacts = Omit<SignedMessage, "body">;

export class PoolObject extends DurableObject<RegistryVariables> {
  readonly #rows: RegistryRows;
  readonly #settings: RegistrySettings;
  #hasAlarm = false;

  constructor(context: DurableObjectState, environment: RegistryVariables) {
    super(context, environment);
    this.#rows = openRows(context.storage);
    // Whoever calls has checked them.
    this.#settings = registrySettings(environment);
    this.#dropRefused(addressRules(environment), nodeSecrets(environment));
  }

  /** The message's signature, time, fields and address are checked already. */
  async tell({ node, nonce, timestamp }: SignedFacts, message: ReplicaMessage): Promise<Outcome<NodeReply>> {
    const now = Date.now();
    this.#rows.forget(now);
    this.#expire(now);
    const failure = this.#refusal(node, nonce, timestamp, message);
    await this.#remind();
    if (failure !== undefined) return { ok: false, failure };
    const { name, started, sequence, status } = message;
    const before = this.#rows.get(name);
    // Who was never here leaves nothing behind.
    if (status !== "gone" || before !== undefined)
      this.#rows.put({ name, node, started, sequence, heardAt: now, replica: status === "gone" ? null : registered(message, node) });
    if (status === "gone") logRemoved(before?.replica === null ? undefined : before, "gone");
    else if (before?.replica === null || before?.replica === undefined || before.started !== started)
      logLine("info", "replica_registered", { node, replica: name, models: message.models.map(({ id }) => id).join(" ") });
    const { heartbeatSeconds, expirySeconds } = this.#settings;
    const place = { ready: "taken", draining: "draining", gone: "removed" } as const;
    return { ok: true, value: { heartbeatSeconds, expirySeconds, status: place[status] } };
  }

  /** The JSON of a `PoolSnapshot` of those that were heard of lately: whoever asks reads it (`snapshotOf`), which costs this object nothing. */
  snapshot(): string {
    const now = Date.now();
    this.#expire(now);
    return `{"takenAt":${String(now)},"replicas":${this.#rows.json}}`;
  }

  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    const now = Date.now();
    this.#expire(now);
    this.#rows.forget(now);
    await this.#remind();
  }

  #refusal(
    node: string,
    nonce: string,
    timestamp: number,
    { name, started, sequence, status }: ReplicaMessage,
  ): ServiceFailure | undefined {
    if (this.#rows.messagesOf(node) >= mostMessages) return tooManyMessages(node, mostMessages, 2 * windowSeconds);
    if (!this.#rows.useNonce(node, nonce, timestamp)) return messageRepeated();
    const row = this.#rows.get(name);
    if (row?.node === node && (started < row.started || (started === row.started && sequence <= row.sequence))) return messageOld();
    if (row?.replica !== null && row !== undefined && row.node !== node) return nameTaken(name, this.#settings.expirySeconds);
    if (status === "gone" || (row !== undefined && row.replica !== null)) return undefined;
    const rows = this.#rows.all();
    if (rows.filter(({ replica }) => replica !== null).length >= mostReplicas) return tooManyReplicas("A pool", mostReplicas);
    const own = rows.filter((one) => one.node === node);
    const isFull =
      (row?.node !== node && own.length >= mostNamesOfNode) || own.filter(({ replica }) => replica !== null).length >= mostReplicasOfNode;
    return isFull ? tooManyReplicas("A node", mostReplicasOfNode) : undefined;
  }

  /** What another deployment has registered and the variables of this one do not allow: a node that was taken out, a host that was. */
  #dropRefused(addresses: AddressRules, nodes: NodeSecrets): void {
    for (const row of this.#rows.all()) {
      if (row.replica === null || (nodes.has(row.node) && addressProblem(row.replica.address, addresses) === undefined)) continue;
      this.#rows.put({ ...row, replica: null });
      logRemoved(row, "no longer allowed");
    }
  }

  /** A clock that was set back counts from now on: a replica that is silent then expires all the same. */
  #expire(now: number): void {
    for (const row of this.#rows.all()) {
      if (row.replica === null) continue;
      if (row.heardAt > now) this.#rows.put({ ...row, heardAt: now });
      if (now - row.heardAt <= 1_000 * this.#settings.expirySeconds) continue;
      this.#rows.put({ ...row, heardAt: now, replica: null });
      logRemoved(row, "expired");
    }
  }

  async #remind(): Promise<void> {
    if (this.#hasAlarm || this.#rows.isEmpty) return;
    this.#hasAlarm = true;
    await this.ctx.storage.setAlarm(Date.now() + 1_000 * this.#settings.expirySeconds);
  }
}

/** Rows that cannot be read are worth nothing: replicas say again who they are. */
function openRows(storage: DurableObjectStorage): RegistryRows {
  try {
    return new RegistryRows(storage.sql);
  } catch (cause) {
    logLine("error", "registry_begun_anew", { cause: describeCause(cause) });
    for (const table of ["replicas", "nonces"]) storage.sql.exec(`DROP TABLE IF EXISTS ${table}`);
    return new RegistryRows(storage.sql);
  }
}

function registered({ name, address, kind, place, weight, models, load, status }: ReplicaMessage, node: string): ReplicaRow["replica"] {
  const { running, waiting, most_requests: mostRequests, most_running: mostRunning, free_share: freeShare, loaded } = load;
  const told = { running, waiting, mostRequests, mostRunning, freeShare, loaded };
  return { name, node, address, kind, place, weight, models, draining: status === "draining", load: told };
}

function logRemoved(row: ReplicaRow | undefined, reason: string): void {
  if (row !== undefined) logLine("info", "replica_removed", { node: row.node, replica: row.name, reason });
}
