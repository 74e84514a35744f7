import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/engine.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { SessionFacts, TurnList } from "../../contracts/session.ts";
import { modelOfVersion, type ServedModel } from "../../models/served-model.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, conflict, invalidRequest, sessionNotFound, sessionOfAnotherModel, sessionTooLarge } from "../failures.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import { BaseReader } from "./base-reader.ts";
import {
  ownerOf,
  ownersOf,
  sessionObjectName,
  type BegunTurn,
  type OrderOfTurn,
  type TurnResult,
  type TurnStreams,
  type TurnTaker,
} from "./contract.ts";
import type { TurnBase } from "../generation/turn-base.ts";
import { DocumentReader } from "./document-reader.ts";
import { forgetStreams } from "./forget-streams.ts";
import { newId, streamObjectName } from "../ids/ids.ts";
import { mostSessionBytes } from "./limits.ts";
import { keepShared, letOldStatesGo, type StateOwner } from "./kept-states.ts";
import { RecordRow, unixSeconds, type SessionRecord } from "./record.ts";
import { messageBytes, renderTurn } from "./render-turn.ts";
import { SessionAccount } from "./session-account.ts";
import { expiryOf, sessionFacts } from "./session-facts.ts";
import { StreamRows } from "./stream-rows.ts";
import { TokenLog } from "./token-log.ts";
import { linesOfTurns, turnsOfLines } from "./turn-lines.ts";
import { turnList } from "./turn-list.ts";
import { TurnRows } from "./turn-rows.ts";
import { guarded, isBrokenFile, isStorageCorrupt, unlessBroken, type Objects } from "../storage/broken.ts";
import { directoryOf } from "./find-session.ts";
import { noteLength, overwriteRemoved, sessionText } from "../storage/erase.ts";

/** Until a deletion that did not work is tried again. */
const againMilliseconds = 3_600_000;

/** All that a fork takes with it; its states it shares. */
export interface SessionCopy {
  readonly record: SessionRecord;
  /** `linesOfTurns`. */
  readonly turns: Uint8Array;
  readonly tokens: Uint32Array;
  /** Number of the last turn; 0 where there is only a document, or nothing. */
  readonly last: number;
}

/** One conversation, or one document that conversations start from: transcript, tokens, and which states hold them. */
export class SessionObject extends DurableObject<SessionEnvironment> implements TurnTaker {
  readonly #record: RecordRow;
  readonly #turns: TurnRows;
  readonly #tokens: TokenLog;
  readonly #streams: StreamRows;
  readonly #document: DocumentReader;
  readonly #base: BaseReader;
  readonly #account: SessionAccount;
  #isLeaving = false;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    const { sql } = context.storage;
    this.#record = new RecordRow(sql);
    this.#turns = new TurnRows(sql);
    this.#tokens = new TokenLog(sql);
    this.#streams = new StreamRows(sql);
    try {
      if (this.#record.get() !== undefined) this.#turns.makeTable();
    } catch (cause) {
      // Every call finds it again, but for the one that wipes it.
      if (!isBrokenFile(cause)) throw cause;
    }
    const dependencies = { environment, turns: this.#turns, tokens: this.#tokens };
    this.#base = new BaseReader(dependencies);
    this.#account = new SessionAccount(environment, () => sql.databaseSize);
    this.#document = new DocumentReader({
      ...dependencies,
      storage: context.storage,
      record: this.#record,
      facts: () => this.#facts(),
      admit: (record, added) => this.#account.admitChunk(record, added),
      waitUntil: (work) => {
        context.waitUntil(work);
      },
    });
  }

  /** A new one, empty or a copy. */
  async create(record: SessionRecord, copy?: Pick<SessionCopy, "turns" | "tokens">): Promise<Outcome<SessionFacts>> {
    const exists = (): Outcome<never> => ({ ok: false, failure: conflict("A session with this id exists already.") });
    if (this.#record.get() !== undefined) return exists();
    const refusal = await this.#account.admitNew(record, copy === undefined ? 0 : copy.turns.length + copy.tokens.byteLength);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    if (this.#record.get() !== undefined) return exists();
    this.ctx.storage.transactionSync(() => {
      for (const each of [this.#record, this.#turns, this.#tokens]) each.makeTable();
      noteLength(this.ctx.storage.sql);
      this.#record.put(record);
      if (copy !== undefined) {
        this.#tokens.append(copy.tokens);
        for (const turn of turnsOfLines(copy.turns)) this.#turns.put(turn);
      }
    });
    await keepShared(this.#states(record));
    await this.#touched();
    return { ok: true, value: await this.#facts() };
  }

  async facts(): Promise<Outcome<SessionFacts>> {
    return await this.#with(async () => ({ ok: true, value: await this.#facts() }));
  }

  /** Those after a turn that there is, or after 0 or -1, which are before all. */
  async turns(limit: number, after: number): Promise<Outcome<TurnList>> {
    return await this.#with(() => {
      const last = Math.max(0, this.#turns.last);
      const failure = invalidRequest(`'after': must be the number of a turn, 0 to ${String(last)}; it is ${String(after)}.`, "after");
      return Promise.resolve(after > last ? { ok: false, failure } : { ok: true, value: turnList(this.#turns.after(after), limit) });
    });
  }

  async rename(name: string): Promise<Outcome<SessionFacts>> {
    return await this.#with(async () => {
      this.#record.change({ name, updated: unixSeconds() });
      overwriteRemoved(this.ctx.storage, sessionText);
      await this.#touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  /** Back to a turn's end. */
  async rewind(turn: number): Promise<Outcome<SessionFacts>> {
    return await this.#with(async ({ id, kind }) => {
      if (kind !== "session") return { ok: false, failure: invalidRequest("A context has no turns to go back to.", "turn") };
      if (await this.#isBusy()) return { ok: false, failure: conflict("A turn is running: stop it, or wait for its end.") };
      const failure = this.#unknownTurn(turn);
      if (failure !== undefined) return { ok: false, failure };
      const dropped = this.#turns.numbersAfter(turn);
      this.ctx.storage.transactionSync(() => {
        this.#turns.deleteAfter(turn);
        this.#tokens.truncate(this.#turns.get(turn)?.tokens ?? 0);
        this.#record.change({ running: null, updated: unixSeconds() });
      });
      overwriteRemoved(this.ctx.storage, sessionText);
      await Promise.all(dropped.map((number) => this.#release(ownerOf(id, number))));
      await this.#touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  /** All up to a turn's end, the last one's unless named. Being copied is a use. */
  async copy(turn?: number): Promise<Outcome<SessionCopy>> {
    return await this.#with(async () => {
      const last = turn ?? this.#turns.last;
      const failure = this.#unknownTurn(Math.max(0, last)) ?? this.#document.unready();
      if (failure !== undefined) return { ok: false, failure };
      const record = this.#record.change({ updated: unixSeconds() });
      const tokens = this.#tokens.read(0, this.#turns.get(last)?.tokens ?? 0);
      const turns = this.#linesUpTo(last, mostSessionBytes - tokens.byteLength);
      if (turns === undefined) return { ok: false, failure: sessionTooLarge(this.ctx.storage.sql.databaseSize, mostSessionBytes) };
      await this.#touched();
      return { ok: true, value: { record, turns, tokens, last: Math.max(0, last) } };
    });
  }

  /** With all that only it keeps, its streams and its shares. Throws where the store can't be reached: then it is still there, and another try helps. */
  async delete(tenant: string): Promise<Outcome<null>> {
    return await this.#with(async (record) => {
      if (record.tenant !== tenant) return { ok: false, failure: sessionNotFound() };
      // From here on it isn't found, so that nothing is added to what goes.
      this.#isLeaving = true;
      try {
        this.#base.stop();
        await this.#document.stop();
        await forgetStreams(this.env, tenant, this.#streams.all());
        // What cannot be read is not told, and holds nothing back.
        await unlessBroken(() => this.#endShares(record));
        await unlessBroken(() => this.#storeToRelease(record.tenant).release(ownersOf(record.id)));
        await unlessBroken(() => directoryOf(this.env, record.tenant).remove(record.id));
        await this.#account.end(record);
        await this.ctx.storage.deleteAll();
        this.#record.forget();
      } finally {
        this.#isLeaving = false;
      }
      return { ok: true, value: null };
    });
  }

  /** Of one whose file is broken, so that it does not know any more whose it was or what it kept. */
  async wipe(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.#record.forget();
  }

  async appendDocument(offset: number, text: ReadableStream<Uint8Array>, last: boolean): Promise<Outcome<SessionFacts>> {
    const outcome = await this.#with(async () => await this.#document.append(offset, text, last));
    await this.#touched();
    return outcome;
  }

  /** All of a new context's text. Nobody knows its id before it is whole, so one that is refused or breaks off leaves nothing. */
  async fillDocument(text: ReadableStream<Uint8Array>): Promise<Outcome<SessionFacts>> {
    const outcome = await this.appendDocument(0, text, true);
    const record = this.#record.get();
    if (!outcome.ok && record !== undefined) await this.delete(record.tenant);
    return outcome;
  }

  async followDocument(): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return await this.#with(() => Promise.resolve(this.#document.follow()));
  }

  async beginTurn(order: OrderOfTurn): Promise<Outcome<BegunTurn>> {
    return await asOutcome(() =>
      this.#with(async ({ kind, model: version }) => {
        if (version.id !== order.model.id) return { ok: false, failure: sessionOfAnotherModel(version.id) };
        if (kind !== "session")
          return { ok: false, failure: invalidRequest("A context takes no turns: make a session from it.", "session_id") };
        const model = await modelOfVersion(this.env, version);
        const isBusy = await this.#isBusy();
        // It may have been deleted meanwhile.
        return await this.#with(() => this.#begin(order, model, isBusy));
      }),
    );
  }

  /** Waits for nothing before the turn is noted, so that it is rendered for what it follows. */
  async #begin(order: OrderOfTurn, model: ServedModel, isBusy: boolean): Promise<Outcome<BegunTurn>> {
    const last = Math.max(0, this.#turns.last);
    const held = { turns: last, tokens: this.#tokens.length, bytes: this.ctx.storage.sql.databaseSize };
    const rendered = renderTurn(model, order.turn, held);
    if (isBusy) return await this.#beginInFork(order, last);
    const turn = last + 1;
    const record = this.#record.change({ running: { turn, stream: order.stream }, updated: unixSeconds() });
    this.#streams.begin(order.stream);
    const added = messageBytes(order.turn.messages) + rendered.prompt.byteLength;
    const [base, refusal] = await Promise.all([
      this.#readBase(record, order.abilities.includes("states")),
      this.#account.admit(record, added),
      this.#list(),
    ]);
    if ((!base.ok || refusal !== undefined) && this.#record.get()?.running?.stream === order.stream) this.#record.change({ running: null });
    if (!base.ok) return base;
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const { snapshot, tokens } = base.value;
    const penalised = order.jobs.some(({ request }) => request.sampling.repetitionPenalty !== 1);
    const seen = penalised && snapshot !== null ? this.#tokens.distinct(tokens) : new Uint32Array();
    return { ok: true, value: { prepared: { session: record.id, turn, base: base.value, seen }, rendered } };
  }

  async rebuildBase(): Promise<Outcome<TurnBase>> {
    return await this.#with(async (record) => {
      const lost = this.#turns.withSnapshot()?.snapshot;
      if (lost !== undefined && lost !== null) this.#turns.forget(lost);
      return await this.#readBase(record, true);
    });
  }

  async readTokens(count: number): Promise<Outcome<Uint32Array>> {
    return await this.#with(async () => {
      const failure = conflict("The conversation no longer has the tokens of the state.");
      return await Promise.resolve(this.#tokens.length < count ? { ok: false, failure } : { ok: true, value: this.#tokens.read(0, count) });
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
        this.#record.change({ running: null, updated: unixSeconds() });
        this.#streams.end(stream);
      });
      await letOldStatesGo(this.#states(record));
      await this.#touched();
      return { ok: true, value: null };
    });
  }

  override async alarm(): Promise<void> {
    const record = this.#record.get();
    if (record === undefined) return;
    await this.#document.continue();
    if (unixSeconds() < expiryOf(record)) {
      await this.#touched();
      return;
    }
    try {
      await this.delete(record.tenant);
    } catch (cause) {
      logLine("error", "session_not_deleted", { session: record.id, cause: describeCause(cause) });
      await this.ctx.storage.setAlarm(Date.now() + againMilliseconds);
    }
  }

  async #readBase(record: SessionRecord, keepsStates: boolean): Promise<Outcome<TurnBase>> {
    return await asOutcome(async () => ({ ok: true, value: await this.#base.read(record, keepsStates) }));
  }

  /** One turn has the session; the other goes on from what was said before, in a session of its own. */
  async #beginInFork(order: OrderOfTurn, turn: number): Promise<Outcome<BegunTurn>> {
    const copied = await this.copy(turn);
    if (!copied.ok) return copied;
    const { record } = copied.value;
    const id = await newId(this.env, "sess", record.tenant);
    const parent = { session: record.id, turn };
    const now = unixSeconds();
    const fork = this.env.SESSION_OBJECT.getByName(sessionObjectName(record.tenant, id)) as unknown as ForkSurface;
    const made = await fork.create({ ...record, id, parent, created: now, updated: now, running: null }, copied.value);
    if (!made.ok) return made;
    const begun = await fork.beginTurn(order);
    // Nobody has heard of a fork whose turn was refused.
    if (!begun.ok) await fork.delete(record.tenant);
    return begun;
  }

  /** Turns up to this one; undefined where they are more than one call carries. */
  #linesUpTo(last: number, mostBytes: number): Uint8Array | undefined {
    try {
      return linesOfTurns(this.#turns.after(-1, last), mostBytes);
    } catch (cause) {
      if (cause instanceof RangeError) return undefined;
      throw cause;
    }
  }

  #unknownTurn(turn: number): ServiceFailure | undefined {
    const last = Math.max(0, this.#turns.last);
    return turn <= last ? undefined : invalidRequest(`'turn': must be from 0 to ${String(last)} (got ${String(turn)}).`, "turn");
  }

  /** Whether a turn has it; one may begin while this is found out. */
  async #isBusy(): Promise<boolean> {
    const running = this.#record.get()?.running ?? null;
    if (running === null) return false;
    try {
      if (await this.#stream(running.stream)?.isRunning(running.stream)) return true;
    } catch (cause) {
      // A turn whose stream is lost with its file has ended.
      if (!isStorageCorrupt(cause)) throw cause;
    }
    const now = this.#record.get()?.running ?? null;
    return now !== null && now.stream !== running.stream;
  }

  async #endShares({ id, tenant, kind }: SessionRecord): Promise<void> {
    if (kind !== "session") return;
    const directory = directoryOf(this.env, tenant);
    for (const share of await directory.sharesOf(id)) {
      const ended = await this.env.SHARE_OBJECT.getByName(share).end(tenant);
      // One that was listed and never opened.
      if (!ended) await directory.removeShare(share);
    }
  }

  #stream(stream: string): TurnStreams | undefined {
    const name = streamObjectName(stream);
    if (name === undefined) return undefined;
    const objects: Objects<TurnStreams> = this.env.STREAM_OBJECT;
    return guarded(objects, name, "stream", (stub) => stub.isRunning(""));
  }

  async #release(owner: string): Promise<void> {
    const record = this.#record.get();
    if (record !== undefined) await this.#states(record).store.release(owner);
  }

  #states({ id, tenant }: SessionRecord): StateOwner {
    const store = this.#store(tenant);
    const release = (owner: string) => releaseOwned(store, id, owner);
    return { session: id, turns: this.#turns, store: { keep: (...values) => store.keep(...values), release } };
  }

  async #facts(): Promise<SessionFacts> {
    const record = this.#record.get();
    if (record === undefined) throw new Error("there is no session");
    return await sessionFacts(record, {
      turns: this.#turns,
      tokens: this.#tokens,
      store: this.#store(record.tenant),
      databaseBytes: this.ctx.storage.sql.databaseSize,
      ingest: this.#document.progress(),
    });
  }

  /** Tells the directory and the tenant's account, and when it is time to look again whether anybody still wants it. */
  async #touched(): Promise<void> {
    const record = this.#record.get();
    if (record !== undefined && !this.#isLeaving) await Promise.all([this.#list(), this.#account.count(record)]);
  }

  async #list(): Promise<void> {
    const record = this.#record.get();
    if (record === undefined || this.#isLeaving) return;
    const { id, kind, tenant, updated } = record;
    // While a document is read, the alarm is there to go on with it.
    if (!this.#document.isReading) await this.ctx.storage.setAlarm(expiryOf(record) * 1000);
    if (kind !== "share") await unlessBroken(() => directoryOf(this.env, tenant).put({ id, kind, updated }));
  }

  #storeToRelease(tenant: string): Pick<SnapshotStore, "release" | "facts"> {
    const objects: Objects<SnapshotStore> = this.env.TENANT_OBJECT;
    return guarded(objects, tenant, "store", (stub) => stub.facts(""));
  }

  #store(tenant: string): SnapshotStore {
    return this.env.TENANT_OBJECT.getByName(tenant);
  }

  async #with<T>(call: (record: SessionRecord) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const record = this.#isLeaving ? undefined : this.#record.get();
    return record === undefined ? { ok: false, failure: sessionNotFound() } : await call(record);
  }
}

type ForkSurface = Pick<SessionObject, "create" | "beginTurn" | "delete">;
