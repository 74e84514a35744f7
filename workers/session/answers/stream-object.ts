import { DurableObject } from "cloudflare:workers";
import type { Caller } from "../../contracts/caller.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { GenerationOrder, OpenStream } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { modelOfVersion } from "../../models/served-model.ts";
import { fromObject } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, conflict, streamNotFound } from "../failures.ts";
import { isBrokenFile } from "../storage/broken.ts";
import { noteLength, overwriteRemoved, streamText } from "../storage/erase.ts";
import { hasTable } from "../storage/tables.ts";
import type { TurnTaker } from "../sessions/contract.ts";
import { sessionAt } from "../sessions/find-session.ts";
import { TenantAccount } from "../snapshots/account/tenant-account.ts";
import { tenantStore } from "../snapshots/tiers/near-store.ts";
import { Life } from "./life.ts";
import { SqlLogRows } from "./log-rows.ts";
import { encodeOrder, OrderRows, type EncodedOrder, type StoredOrder } from "./order-rows.ts";
import { StreamAccount } from "./stream-account.ts";
import { whileWaiting } from "../../waiting/caller.ts";

/** While something runs or is kept, the object looks after it so often: generations that were cut off with it go on, old ones go. */
const watchMilliseconds = 30_000;
/** Between two times that deleted text is overwritten in the file: answers wait for it. */
const overwriteMilliseconds = 60_000;

/** Owns running generations, and what they brought until some time after their end. */
export class StreamObject extends DurableObject<SessionEnvironment> {
  readonly #orders: OrderRows;
  readonly #lives = new Map<string, Promise<Life>>();
  /** Whether deleted text may still lie in the file, as an earlier life may have left it: not in a file that is new. */
  #hasRemoved = true;
  /** Whether an alarm is known to be set. */
  #isWatched = false;
  /** Unix milliseconds. */
  #overwritten = 0;
  /** Streams that are about to begin: their sessions may be asked for by others already. */
  readonly #starting = new Set<string>();
  /** Of streams that belong to a tenant. */
  readonly #accounts = new Map<string, StreamAccount>();

  constructor(ctx: DurableObjectState, env: SessionEnvironment) {
    super(ctx, env);
    this.#orders = new OrderRows(ctx.storage.sql);
    try {
      this.#hasRemoved = hasTable(ctx.storage.sql, "orders");
      this.#makeTables();
      this.#orders.running();
    } catch (cause) {
      this.#beginAnew(cause);
    }
  }

  /** Throws where the order can't be written down, with nothing begun: it is not this object's to run then. */
  async start(order: GenerationOrder, caller?: Caller): Promise<Outcome<OpenStream>> {
    const { stream } = order;
    if (this.#lives.has(stream) || this.#orders.has(stream))
      return { ok: false, failure: conflict("A stream with this id has been started already.") };
    this.#starting.add(stream);
    try {
      const stored = await this.#prepare(order);
      const making = this.#live(stored);
      this.#lives.set(stream, making);
      const life = await making;
      const encoded = await whileWaiting(
        caller,
        () => {
          life.leave();
        },
        () => this.#begin(stored, life),
      );
      await this.#write(encoded, life);
      this.ctx.waitUntil(life.run());
      return { ok: true, value: await life.openUnderWay() };
    } catch (cause) {
      this.#lives.delete(stream);
      this.#closeAccount(stream);
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    } finally {
      this.#starting.delete(stream);
    }
  }

  async attach(tenant: TenantId | null, stream: string, after: number): Promise<Outcome<OpenStream>> {
    return await asOutcome(() => this.#attach(tenant, stream, after));
  }

  async #attach(tenant: TenantId | null, stream: string, after: number): Promise<Outcome<OpenStream>> {
    const life = await this.#findOf(tenant, stream);
    return life === undefined ? { ok: false, failure: streamNotFound() } : { ok: true, value: life.open(after) };
  }

  async stop(tenant: TenantId | null, stream: string): Promise<Outcome<null>> {
    return await asOutcome(async () => {
      const life = await this.#findOf(tenant, stream);
      if (life === undefined) return { ok: false, failure: streamNotFound() };
      life.stop();
      return { ok: true, value: null };
    });
  }

  async asked(tenant: TenantId, stream: string): Promise<Outcome<readonly TranscriptMessage[]>> {
    return await asOutcome(async () => {
      const isTheirs = (await this.#findOf(tenant, stream)) !== undefined;
      const stored = isTheirs ? this.#orders.get(stream) : undefined;
      return stored === undefined ? { ok: false, failure: streamNotFound() } : { ok: true, value: stored.order.turn?.messages ?? [] };
    });
  }

  /** Ends those of these that are the tenant's, and forgets them: who reads one now reads on to its end, and nobody comes back to it. */
  async forget(tenant: TenantId, streams: readonly string[]): Promise<void> {
    for (const stream of streams) {
      const life = await this.#find(stream).catch(noteUnreadable(stream));
      if (life !== undefined && life.tenant !== tenant) continue;
      await this.#accounts.get(stream)?.stop();
      this.#orders.forget(stream);
      life?.stop();
      await life?.end;
      if (life === undefined || life.readers === 0) this.#erase(stream);
    }
    await new TenantAccount(this.env, tenant).discharge(streams);
  }

  /** Whether this stream has not ended; one that was lost goes on by being asked. */
  async isRunning(stream: string): Promise<boolean> {
    if (this.#starting.has(stream)) return true;
    const life = await this.#find(stream);
    return life !== undefined && !life.settled;
  }

  override async alarm(): Promise<void> {
    this.#isWatched = false;
    try {
      await this.#look();
    } catch (cause) {
      this.#beginAnew(cause);
    }
  }

  async #look(): Promise<void> {
    for (const stream of this.#orders.running()) {
      await this.#find(stream).catch(noteUnreadable(stream));
      this.#accounts.get(stream)?.renew();
    }
    for (const stream of this.#orders.expired(Date.now())) {
      const life = await this.#lives.get(stream)?.catch(() => undefined);
      if (life !== undefined && life.readers > 0) continue;
      this.#erase(stream);
    }
    for (const account of this.#accounts.values()) account.catchUp();
    await this.#overwrite();
    if (this.#orders.count() > 0) await this.#watch();
  }

  #makeTables(): void {
    const { sql } = this.ctx.storage;
    this.#orders.makeTables();
    SqlLogRows.makeTable(sql);
    noteLength(sql);
  }

  /** Answers are kept for minutes, and sessions have theirs: a file that is broken is given up, once nothing runs that writes to it. */
  #beginAnew(cause: unknown): void {
    if (!isBrokenFile(cause) || this.#lives.size > 0 || this.#starting.size > 0) throw cause;
    logLine("error", "storage_corrupt", { object: "stream", cause: describeCause(cause) });
    this.#isWatched = false;
    this.ctx.waitUntil(this.ctx.storage.deleteAll());
    this.#makeTables();
  }

  /** Takes what was deleted out of the file; where nothing is left, the file is begun anew. */
  async #overwrite(): Promise<void> {
    if (this.#orders.count() === 0 && this.#lives.size === 0 && this.#starting.size === 0) {
      this.#isWatched = false;
      const gone = this.ctx.storage.deleteAll();
      this.#makeTables();
      this.#hasRemoved = false;
      await gone;
    } else if (this.#hasRemoved && Date.now() - this.#overwritten >= overwriteMilliseconds) {
      overwriteRemoved(this.ctx.storage, streamText);
      this.#hasRemoved = false;
      this.#overwritten = Date.now();
    }
  }

  #erase(stream: string): void {
    new SqlLogRows(this.ctx.storage, stream).delete();
    this.#lives.delete(stream);
    this.#accounts.delete(stream);
    this.#orders.delete(stream);
    this.#hasRemoved = true;
  }

  /** The engine and the tenant's account are asked at once: neither waits for the other. @throws ServiceError where one of them refuses. */
  async #begin(stored: StoredOrder, life: Life): Promise<EncodedOrder> {
    const begun = life.begin();
    const encoded = encodeOrder(stored);
    const admitted = this.#accounts.get(encoded.stream)?.admit(encoded.bytes);
    await begun;
    const refusal = await admitted;
    if (refusal === undefined) return encoded;
    await life.refuse(refusal);
    throw new ServiceError(refusal);
  }

  #accountOf(tenant: TenantId, stream: string): StreamAccount {
    const known = this.#accounts.get(stream);
    if (known !== undefined) return known;
    const account = new StreamAccount({
      ...{ environment: this.env, tenant, stream },
      bytes: () => this.#orders.bytes(stream) + new SqlLogRows(this.ctx.storage, stream).bytes,
      waitUntil: (work) => {
        this.ctx.waitUntil(work);
      },
    });
    this.#accounts.set(stream, account);
    return account;
  }

  #closeAccount(stream: string): void {
    const account = this.#accounts.get(stream);
    this.#accounts.delete(stream);
    if (account !== undefined) this.ctx.waitUntil(account.close());
  }

  async #watch(): Promise<void> {
    // It is asked for once; only the alarm itself, or the end of all that is kept, takes it away.
    if (this.#isWatched) return;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + watchMilliseconds);
    this.#isWatched = true;
  }

  /** The engine is at work already: whoever writes first lets everybody wait for the disk. */
  async #write(encoded: EncodedOrder, life: Life): Promise<void> {
    try {
      this.#orders.put(encoded);
      await this.#watch();
    } catch (cause) {
      await life.abandon();
      throw cause;
    }
  }

  /** A turn is rendered by its session, which knows what comes before it. */
  async #prepare(order: GenerationOrder): Promise<StoredOrder> {
    const { tenant, turn } = order;
    if (turn === undefined || tenant === null) return { order, prepared: null };
    const { prepared, rendered } = await fromObject(this.#session(tenant, turn.session).beginTurn({ ...order, turn }));
    const jobs = order.jobs.map((job) => ({ ...job, request: { ...job.request, ...rendered } }));
    return { order: { ...order, jobs }, prepared };
  }

  /** What clients find: of their own, and not what was forgotten while somebody still reads it. */
  async #findOf(tenant: TenantId | null, stream: string): Promise<Life | undefined> {
    const life = await this.#find(stream);
    return life?.tenant === tenant && !this.#orders.isForgotten(stream) ? life : undefined;
  }

  /** A generation, brought back from what is stored where it was lost with the object. */
  async #find(stream: string): Promise<Life | undefined> {
    const living = this.#lives.get(stream);
    if (living !== undefined) return await living;
    const stored = this.#orders.get(stream);
    if (stored === undefined) return undefined;
    const making = this.#live(stored);
    this.#lives.set(stream, making);
    const life = await this.#made(stream, making);
    if (!life.ended) {
      logLine("info", "stream_revived", { stream });
      this.ctx.waitUntil(life.resume());
      await this.#watch();
    }
    return life;
  }

  /** What can't be made now may be made later. */
  async #made(stream: string, making: Promise<Life>): Promise<Life> {
    try {
      return await making;
    } catch (cause) {
      this.#lives.delete(stream);
      throw cause;
    }
  }

  async #live(stored: StoredOrder): Promise<Life> {
    const model = await modelOfVersion(this.env, stored.order.model);
    const { tenant, turn, stream } = stored.order;
    const session = tenant === null || turn === undefined ? undefined : this.#session(tenant, stored.prepared?.session ?? turn.session);
    const store = tenant === null ? undefined : tenantStore(this.env, tenant);
    const account = tenant === null ? undefined : this.#accountOf(tenant, stream);
    const onEnded = (keptUntil: number) => {
      try {
        this.#orders.keepUntil(stream, keptUntil);
        // The alarm erases it a little later.
        account?.end(keptUntil + 2 * watchMilliseconds);
      } catch (cause) {
        logLine("error", "stream_end_not_written", { stream, cause: describeCause(cause) });
      }
    };
    const onIdle = () => {
      this.#lives.delete(stream);
      if (this.#orders.isForgotten(stream)) this.#erase(stream);
    };
    return new Life({
      stored,
      model,
      environment: this.env,
      rows: new SqlLogRows(this.ctx.storage, stream, (bytes) => account?.grow(bytes)),
      session,
      store,
      onEnded,
      onIdle,
    });
  }

  #session(tenant: TenantId, session: string): TurnTaker {
    return sessionAt(this.env, tenant, session);
  }
}

const noteUnreadable =
  (stream: string) =>
  (cause: unknown): void => {
    logLine("error", "stream_not_revived", { stream, cause: describeCause(cause) });
  };
