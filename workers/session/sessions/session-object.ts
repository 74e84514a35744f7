import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/engine.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { GenerationOrder, SessionFacts, Turn } from "../../contracts/session.ts";
import { streamObjectName } from "../../contracts/stream-id.ts";
import { describeCause, logLine } from "../../logging/log-line.ts";
import { servedModel } from "../../model/served-model.ts";
import type { SessionEnvironment } from "../environment.ts";
import { conflict, invalidRequest, sessionNotFound } from "../failures.ts";
import { identityOf } from "../identity.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { ownerOf, ownersOf, sessionObjectName, type PreparedTurn, type TurnBase, type TurnResult, type TurnTaker } from "./contract.ts";
import { DocumentReader } from "./document-reader.ts";
import { newId } from "./ids.ts";
import { pieceTokens, readPiece, type Base } from "./read-tokens.ts";
import { RecordRow, unixSeconds, type SessionRecord } from "./record.ts";
import { TokenLog } from "./token-log.ts";
import { keepsState, TurnRows, type StoredTurn } from "./turn-rows.ts";

/** After its last use. */
const LIFE_SECONDS = 30 * 24 * 3600;
/** All that a fork takes with it; its states it shares. */
export interface SessionCopy {
  readonly record: SessionRecord;
  readonly turns: readonly StoredTurn[];
  readonly tokens: Uint32Array;
}

/** One conversation, or one document that conversations start from: transcript, tokens, and which states hold them. */
export class SessionObject extends DurableObject<SessionEnvironment> implements TurnTaker {
  readonly #record: RecordRow;
  readonly #turns: TurnRows;
  readonly #tokens: TokenLog;
  readonly #document: DocumentReader;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    const { sql } = context.storage;
    this.#record = new RecordRow(sql);
    this.#turns = new TurnRows(sql);
    this.#tokens = new TokenLog(sql);
    this.#document = new DocumentReader({
      storage: context.storage,
      environment,
      record: this.#record,
      turns: this.#turns,
      tokens: this.#tokens,
      facts: () => this.#facts(),
      waitUntil: (work) => {
        context.waitUntil(work);
      },
    });
  }

  /** A new one, empty or a copy. */
  async create(record: SessionRecord, copy?: Pick<SessionCopy, "turns" | "tokens">): Promise<Outcome<SessionFacts>> {
    if (this.#record.get() !== undefined) return { ok: false, failure: conflict("There is a session of this id.") };
    this.ctx.storage.transactionSync(() => {
      this.#record.put(record);
      if (copy !== undefined) {
        this.#tokens.append(copy.tokens);
        for (const turn of copy.turns) this.#turns.put(turn);
      }
    });
    await this.#keepCopied(record, copy?.turns ?? []);
    await this.#touched();
    return { ok: true, value: await this.#facts() };
  }

  async facts(): Promise<Outcome<SessionFacts>> {
    return await this.#with(async () => ({ ok: true, value: await this.#facts() }));
  }

  async turns(limit: number, after: number): Promise<Outcome<readonly Turn[]>> {
    return await this.#with(() => {
      const turns = this.#turns
        .list(after, limit)
        .map(({ number, messages, tokens, finish, created }): Turn => ({ number, messages, tokens, finish, created }));
      return Promise.resolve({ ok: true, value: turns });
    });
  }

  async rename(name: string): Promise<Outcome<SessionFacts>> {
    return await this.#with(async (record) => {
      this.#record.put({ ...record, name, updated: unixSeconds() });
      await this.#touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  /** Back to a turn's end. */
  async rewind(turn: number): Promise<Outcome<SessionFacts>> {
    return await this.#with(async (record) => {
      if (record.kind !== "session") return { ok: false, failure: invalidRequest("A context has no turns to go back to.", "turn") };
      if (record.running !== null && (await this.#isRunning(record.running.stream))) {
        return { ok: false, failure: conflict("A turn is running: stop it, or wait for its end.") };
      }
      const failure = this.#unknownTurn(turn);
      if (failure !== undefined) return { ok: false, failure };
      const dropped = this.#turns.list(turn, Number.MAX_SAFE_INTEGER);
      this.ctx.storage.transactionSync(() => {
        this.#turns.deleteAfter(turn);
        this.#tokens.truncate(this.#turns.get(turn)?.tokens ?? 0);
        this.#record.put({ ...record, running: null, updated: unixSeconds() });
      });
      await Promise.all(dropped.map(({ number }) => this.#release(ownerOf(record.id, number))));
      await this.#touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  /** All up to a turn's end, the last one's unless named. */
  async copy(turn?: number): Promise<Outcome<SessionCopy>> {
    return await this.#with((record) => {
      const last = turn ?? this.#turns.last;
      const failure = this.#unknownTurn(Math.max(0, last)) ?? this.#document.unready();
      if (failure !== undefined) return Promise.resolve({ ok: false, failure });
      const turns = this.#turns.list(-1, Number.MAX_SAFE_INTEGER).filter(({ number }) => number <= last);
      return Promise.resolve({ ok: true, value: { record, turns, tokens: this.#tokens.read(0, turns.at(-1)?.tokens ?? 0) } });
    });
  }

  async delete(tenant: string): Promise<Outcome<null>> {
    return await this.#with(async (record) => {
      if (record.tenant !== tenant) return { ok: false, failure: sessionNotFound() };
      this.#document.stop();
      await this.#release(ownersOf(record.id));
      await this.env.DIRECTORY_OBJECT.getByName(record.tenant).remove(record.id);
      await this.ctx.storage.deleteAll();
      this.#record.forget();
      return { ok: true, value: null };
    });
  }

  async appendDocument(offset: number, text: ReadableStream<Uint8Array>, last: boolean): Promise<Outcome<SessionFacts>> {
    const outcome = await this.#with(async () => await this.#document.append(offset, text, last));
    await this.#touched();
    return outcome;
  }

  async followDocument(): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return await this.#with(() => Promise.resolve(this.#document.follow()));
  }

  async beginTurn(order: GenerationOrder): Promise<Outcome<PreparedTurn>> {
    return await this.#with(async (record) => {
      if (record.kind !== "session")
        return { ok: false, failure: invalidRequest("A context takes no turns: make a session from it.", "session_id") };
      if (record.running !== null && (await this.#isRunning(record.running.stream))) return await this.#beginInFork(record, order);
      const turn = Math.max(0, this.#turns.last) + 1;
      this.#record.put({ ...record, running: { turn, stream: order.stream }, updated: unixSeconds() });
      const base = await this.#base();
      const penalised = order.jobs.some(({ request }) => request.sampling.repetitionPenalty !== 1);
      const seen = penalised && base.snapshot !== null ? this.#tokens.distinct(base.tokens) : new Uint32Array();
      await this.#touched();
      return { ok: true, value: { session: record.id, turn, base, seen } };
    });
  }

  async rebuildBase(): Promise<Outcome<TurnBase>> {
    return await this.#with(async () => {
      const lost = this.#turns.withSnapshot()?.snapshot;
      if (lost !== undefined && lost !== null) this.#turns.forget(lost);
      return { ok: true, value: await this.#base() };
    });
  }

  async endTurn(result: TurnResult): Promise<Outcome<null>> {
    return await this.#with(async (record) => {
      const { turn, stream, prompt, answer, finish, text, snapshot } = result;
      if (record.running?.stream !== stream) return { ok: true, value: null };
      // What brought nothing leaves nothing: its client asks again.
      const isEmpty = answer.length === 0 && finish !== "stop" && finish !== "length";
      this.ctx.storage.transactionSync(() => {
        if (!isEmpty) {
          this.#tokens.append(Uint32Array.from([...prompt, ...answer]));
          const messages = [...result.messages, { role: "assistant", content: text } as const];
          const state = { snapshot: snapshot?.id ?? null, snapshotTokens: snapshot?.tokens ?? 0 };
          this.#turns.put({ number: turn, messages, tokens: this.#tokens.length, finish, created: unixSeconds(), stream, ...state });
        }
        this.#record.put({ ...record, running: null, updated: unixSeconds() });
      });
      await this.#letOldStatesGo(record.id);
      await this.#touched();
      return { ok: true, value: null };
    });
  }

  override async alarm(): Promise<void> {
    const record = this.#record.get();
    if (record === undefined) return;
    if (await this.#document.continue()) return;
    if (unixSeconds() >= record.updated + LIFE_SECONDS && record.kind !== "share") await this.delete(record.tenant);
    else await this.#touched();
  }

  /** The newest state and what follows it. */
  async #base(): Promise<TurnBase> {
    const newest = this.#turns.withSnapshot();
    const end = this.#tokens.length;
    let base: Base = newest === undefined ? { snapshot: null, tokens: 0 } : { snapshot: newest.snapshot, tokens: newest.snapshotTokens };
    // What a turn would have to read beside its own is read before it where that is much, in pieces whose states are kept.
    const piece = end === base.tokens ? 0 : await pieceTokens(this.env.ENGINE);
    if (end - base.tokens > piece) base = await this.#readAgain(base, end, piece);
    return { snapshot: base.snapshot, tokens: base.tokens, unread: this.#tokens.read(base.tokens, end) };
  }

  /** Up to the last turn's end, in pieces; the state is that turn's from then on. */
  async #readAgain(from: Base, end: number, piece: number): Promise<Base> {
    const record = this.#record.get();
    const last = this.#turns.get(this.#turns.last);
    if (record === undefined || last === undefined) return from;
    const { card } = await servedModel(this.env);
    const options = {
      ...{ backend: this.env.ENGINE, store: this.#store(record.tenant), identity: identityOf(card), session: record.id },
      ...{ owner: ownerOf(record.id, last.number), signal: new AbortController().signal },
    };
    let base = from;
    while (end - base.tokens > 0) {
      const next = await readPiece(base, this.#tokens.read(base.tokens, Math.min(end, base.tokens + piece)), options);
      if (next === "base lost") {
        if (base.snapshot !== null) this.#turns.forget(base.snapshot);
        const earlier = this.#turns.withSnapshot();
        base = earlier === undefined ? { snapshot: null, tokens: 0 } : { snapshot: earlier.snapshot, tokens: earlier.snapshotTokens };
        continue;
      }
      base = next;
      this.#turns.put({ ...last, snapshot: base.snapshot, snapshotTokens: base.tokens });
    }
    return base;
  }

  /** One turn has the session; the other goes on from what was said before, in a session of its own. */
  async #beginInFork(record: SessionRecord, order: GenerationOrder): Promise<Outcome<PreparedTurn>> {
    const copied = await this.copy();
    if (!copied.ok) return copied;
    const id = newId("sess");
    const now = unixSeconds();
    const parent = { session: record.id, turn: Math.max(0, this.#turns.last) };
    const fork = this.env.SESSION_OBJECT.getByName(sessionObjectName(record.tenant, id)) as unknown as ForkSurface;
    const made = await fork.create({ ...record, id, parent, created: now, updated: now, running: null }, copied.value);
    return made.ok ? await fork.beginTurn(order) : made;
  }

  /** Forks keep the states that they share. */
  async #keepCopied(record: SessionRecord, turns: readonly StoredTurn[]): Promise<void> {
    const store = this.#store(record.tenant);
    const last = turns.at(-1)?.number ?? 0;
    for (const { number, snapshot } of turns) {
      if (snapshot === null) continue;
      // A state that can't be kept is read again from its tokens.
      const keep = async () => (await store.keep(snapshot, ownerOf(record.id, number), farAway())).ok;
      const kept = keepsState(Math.max(1, number), last) && (await keep().catch(() => false));
      if (!kept) this.#turns.forget(snapshot);
    }
  }

  async #letOldStatesGo(session: string): Promise<void> {
    const last = this.#turns.last;
    const old = this.#turns
      .list(0, Number.MAX_SAFE_INTEGER)
      .filter(({ number, snapshot }) => snapshot !== null && !keepsState(number, last));
    for (const { number, snapshot } of old) {
      if (snapshot !== null) this.#turns.forget(snapshot);
      await this.#release(ownerOf(session, number));
    }
  }

  async #release(owner: string): Promise<void> {
    const record = this.#record.get();
    if (record === undefined) return;
    await this.#store(record.tenant)
      .release(owner)
      .catch((cause: unknown) => {
        logLine("error", "snapshot_store_failed", { session: record.id, step: "release", cause: describeCause(cause) });
      });
  }

  #unknownTurn(turn: number): ServiceFailure | undefined {
    const last = Math.max(0, this.#turns.last);
    return turn <= last ? undefined : invalidRequest(`'turn': must be from 0 to ${String(last)} (got ${String(turn)}).`, "turn");
  }

  async #isRunning(stream: string): Promise<boolean> {
    const name = streamObjectName(stream);
    if (name === undefined) return false;
    return await this.env.STREAM_OBJECT.getByName(name).isRunning(stream);
  }

  async #facts(): Promise<SessionFacts> {
    const record = this.#record.get();
    if (record === undefined) throw new Error("no session");
    const { id, kind, name, model, created, updated, parent, running } = record;
    const newest = this.#turns.withSnapshot();
    const state =
      newest?.snapshot === undefined || newest.snapshot === null
        ? null
        : await this.#store(record.tenant)
            .facts(newest.snapshot)
            .catch(() => null);
    const ingest = this.#document.progress();
    return {
      id,
      kind: kind === "context" ? "context" : "session",
      ...{ name, model, created, updated },
      expires: updated + LIFE_SECONDS,
      tokens: this.#tokens.length,
      turns: Math.max(0, this.#turns.last),
      stateBytes: state?.fileBytes ?? 0,
      bytes: this.ctx.storage.sql.databaseSize + (state?.ownBytes ?? 0),
      tier: state === null ? "tokens" : state.tier === "durable" ? "durable" : "hot",
      ...(parent === null ? {} : { parent }),
      ...(running === null ? {} : { running: running.stream }),
      ...(ingest === undefined ? {} : { ingest }),
    };
  }

  /** Tells the directory, and when it is time to look again whether anybody still wants it. */
  async #touched(): Promise<void> {
    const record = this.#record.get();
    if (record === undefined) return;
    const { id, kind, tenant, updated } = record;
    if (kind !== "share") await this.env.DIRECTORY_OBJECT.getByName(tenant).put({ id, kind, updated });
    if (!this.#document.isReading) await this.ctx.storage.setAlarm((updated + LIFE_SECONDS) * 1000);
  }

  #store(tenant: string): SnapshotStore {
    return this.env.TENANT_OBJECT.getByName(tenant);
  }

  async #with<T>(call: (record: SessionRecord) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const record = this.#record.get();
    return record === undefined ? { ok: false, failure: sessionNotFound() } : await call(record);
  }
}

type ForkSurface = Pick<SessionObject, "create" | "beginTurn">;

/** A session lets go of its states itself; this is for one that never comes to it. */
const farAway = (): number => Date.now() + 2 * LIFE_SECONDS * 1000;
