import { DurableObject } from "cloudflare:workers";
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { Metadata, SessionFacts, StoredResponse, TurnList, TurnMessages } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { SessionEnvironment } from "../environment.ts";
import { conflict, invalidRequest, responseNotFound, sessionNotFound, sessionTooLarge } from "../failures.ts";
import type { TurnBase } from "../generation/turn-base.ts";
import { isBrokenFile, unlessBroken } from "../storage/broken.ts";
import { noteLength, overwriteRemoved, sessionText } from "../storage/erase.ts";
import { BaseReader } from "./base-reader.ts";
import { ownerOf, type BegunTurn, type OrderOfTurn, type StandingBase, type TurnResult, type TurnTaker } from "./contract.ts";
import { DocumentReader } from "./document-reader.ts";
import { directoryOf } from "./find-session.ts";
import { forgetStreams } from "./forget-streams.ts";
import { keepShared } from "./kept-states.ts";
import { mostSessionBytes } from "./limits.ts";
import { RecordRow, unixSeconds, type SessionCopy, type SessionRecord } from "./record.ts";
import { ResponseRows } from "./response-rows.ts";
import { expiryOf, sessionFacts } from "./session-facts.ts";
import { SessionStanding } from "./session-standing.ts";
import { SessionTurns } from "./session-turns.ts";
import { StreamRows } from "./stream-rows.ts";
import { TokenLog } from "./token-log.ts";
import { linesOfTurns, turnsOfLines } from "./turn-lines.ts";
import { turnList } from "./turn-list.ts";
import { TurnRows } from "./turn-rows.ts";

/** Until a deletion that did not work is tried again. */
const againMilliseconds = 3_600_000;

/** One conversation, or one document that conversations start from: transcript, tokens, and which states hold them. */
export class SessionObject extends DurableObject<SessionEnvironment> implements TurnTaker {
  readonly #record: RecordRow;
  readonly #turns: TurnRows;
  readonly #tokens: TokenLog;
  readonly #streams: StreamRows;
  readonly #responses: ResponseRows;
  readonly #document: DocumentReader;
  readonly #base: BaseReader;
  readonly #standing: SessionStanding;
  readonly #running: SessionTurns;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    const { sql } = context.storage;
    this.#record = new RecordRow(sql);
    this.#turns = new TurnRows(sql);
    this.#tokens = new TokenLog(sql);
    this.#streams = new StreamRows(sql);
    this.#responses = new ResponseRows(sql);
    try {
      if (this.#record.get() !== undefined) this.#turns.makeTable();
    } catch (cause) {
      // Every call finds it again, but for the one that wipes it.
      if (!isBrokenFile(cause)) throw cause;
    }
    const shared = { environment, storage: context.storage, record: this.#record, turns: this.#turns, tokens: this.#tokens };
    this.#base = new BaseReader(shared);
    this.#standing = new SessionStanding({ ...shared, isReading: () => this.#document.isReading });
    this.#running = new SessionTurns({
      ...shared,
      streams: this.#streams,
      responses: this.#responses,
      base: this.#base,
      standing: this.#standing,
      copy: (turn) => this.copy(turn),
      remove: (tenant) => this.delete(tenant),
      found: (call) => this.#with(call),
    });
    this.#document = new DocumentReader({
      ...shared,
      facts: () => this.#facts(),
      admit: (record, added) => this.#standing.account.admitChunk(record, added),
      waitUntil: (work) => {
        context.waitUntil(work);
      },
    });
  }

  /** A new one, empty or a copy. */
  async create(record: SessionRecord, copy?: Pick<SessionCopy, "turns" | "tokens">): Promise<Outcome<SessionFacts>> {
    const exists = (): Outcome<never> => ({ ok: false, failure: conflict("A session with this id exists already.") });
    if (this.#record.get() !== undefined) return exists();
    const refusal = await this.#standing.announce(record, copy === undefined ? 0 : copy.turns.length + copy.tokens.byteLength);
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
    await this.ctx.storage.setAlarm(expiryOf(record) * 1000);
    await keepShared(this.#standing.states(record));
    await this.#standing.touched();
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
      await this.#standing.touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  async noteMetadata(metadata: Metadata): Promise<Outcome<SessionFacts>> {
    return await this.#with(async () => {
      this.#record.change({ metadata, updated: unixSeconds() });
      overwriteRemoved(this.ctx.storage, sessionText);
      await this.#standing.touched();
      return { ok: true, value: await this.#facts() };
    });
  }

  async countTurn(version: ModelVersion, turn: TurnMessages): Promise<Outcome<number>> {
    return await this.#running.countTurn(version, turn);
  }

  /** Back to a turn's end. */
  async rewind(turn: number): Promise<Outcome<SessionFacts>> {
    return await this.#with(async ({ id, kind }) => {
      if (kind !== "session") return { ok: false, failure: invalidRequest("A context has no turns to go back to.", "turn") };
      if (await this.#running.isBusy()) return { ok: false, failure: conflict("A turn is running: stop it, or wait for its end.") };
      const failure = this.#unknownTurn(turn);
      if (failure !== undefined) return { ok: false, failure };
      await this.#takeBack(id, turn);
      return { ok: true, value: await this.#facts() };
    });
  }

  async response(stream: string): Promise<Outcome<StoredResponse | null>> {
    return await this.#with(() => {
      const number = this.#responses.turnOf(stream);
      const turn = number === undefined ? undefined : this.#turns.get(number);
      const text = this.#responses.text(stream);
      if (turn !== undefined && text !== undefined) {
        const [value] = turnList([turn], 1).turns;
        if (value !== undefined) return Promise.resolve({ ok: true, value: { turn: value, ...text } });
      }
      return Promise.resolve(this.#streams.has(stream) ? { ok: true, value: null } : { ok: false, failure: responseNotFound() });
    });
  }

  /** What was made of a response keeps its text, as the conversation that it goes on from. */
  async deleteResponse(stream: string): Promise<Outcome<null>> {
    return await this.#with(async (known) => {
      if (this.#responses.turnOf(stream) === undefined && !this.#streams.has(stream)) return { ok: false, failure: responseNotFound() };
      await forgetStreams(this.env, known.tenant, [stream]);
      const record = this.#record.get();
      if (record === undefined) return { ok: false, failure: sessionNotFound() };
      this.#responses.delete(stream);
      this.#streams.forget(stream);
      const last = this.#responses.last ?? 0;
      const isFree = record.isOfResponses === true && !(await this.#running.isBusy());
      if (isFree && last === 0) return await this.delete(record.tenant);
      if (isFree && last < this.#turns.last) await this.#takeBack(record.id, last);
      else {
        overwriteRemoved(this.ctx.storage, sessionText);
        await this.#standing.touched();
      }
      return { ok: true, value: null };
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
      await this.#standing.touched();
      return { ok: true, value: { record, turns, tokens, last: Math.max(0, last) } };
    });
  }

  /** With all that only it keeps, its streams and its shares. Throws where the store can't be reached: then it is still there, and another try helps. */
  async delete(tenant: string): Promise<Outcome<null>> {
    return await this.#with(async (record) => {
      if (record.tenant !== tenant) return { ok: false, failure: sessionNotFound() };
      // From here on it isn't found, so that nothing is added to what goes.
      this.#standing.isLeaving = true;
      try {
        this.#base.stop();
        await this.#document.stop();
        await forgetStreams(this.env, tenant, this.#streams.all());
        // What cannot be read is not told, and holds nothing back.
        await unlessBroken(() => this.#standing.endShares(record));
        await unlessBroken(() => this.#standing.releaseAll(record));
        await unlessBroken(() => directoryOf(this.env, record.tenant).remove(record.id));
        await this.#standing.account.end(record);
        await this.ctx.storage.deleteAll();
        this.#record.forget();
      } finally {
        this.#standing.isLeaving = false;
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
    await this.#standing.touched();
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
    return await this.#running.beginTurn(order);
  }

  /** Being asked about is a use. */
  async standingBase(model: ModelVersion, keepsStates: boolean): Promise<Outcome<StandingBase>> {
    return await this.#with(async () => {
      const failure = this.#document.unready();
      if (failure !== undefined) return { ok: false, failure };
      const base = await this.#running.standingBase(model, keepsStates);
      if (this.#record.get() !== undefined) this.#record.change({ updated: unixSeconds() });
      await this.#standing.touched();
      return base;
    });
  }

  async rebuildBase(): Promise<Outcome<TurnBase>> {
    return await this.#running.rebuildBase();
  }

  async readTokens(count: number): Promise<Outcome<Uint32Array>> {
    return await this.#running.readTokens(count);
  }

  async endTurn(result: TurnResult): Promise<Outcome<null>> {
    return await this.#running.endTurn(result);
  }

  override async alarm(): Promise<void> {
    const record = this.#record.get();
    if (record === undefined) return;
    await this.#document.continue();
    if (unixSeconds() < expiryOf(record)) {
      await this.#standing.touched();
      return;
    }
    try {
      if (record.isPassing === true && (await this.#running.isBusy())) {
        this.#record.change({ updated: unixSeconds() });
        await this.#standing.touched();
      } else await this.delete(record.tenant);
    } catch (cause) {
      logLine("error", "session_not_deleted", { session: record.id, cause: describeCause(cause) });
      await this.ctx.storage.setAlarm(Date.now() + againMilliseconds);
    }
  }

  async #takeBack(session: string, turn: number): Promise<void> {
    const dropped = this.#turns.numbersAfter(turn);
    this.ctx.storage.transactionSync(() => {
      this.#responses.deleteAfter(turn);
      this.#turns.deleteAfter(turn);
      this.#tokens.truncate(this.#turns.get(turn)?.tokens ?? 0);
      this.#record.change({ running: null, updated: unixSeconds() });
    });
    overwriteRemoved(this.ctx.storage, sessionText);
    await Promise.all(dropped.map((number) => this.#standing.release(ownerOf(session, number))));
    await this.#standing.touched();
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

  async #facts(): Promise<SessionFacts> {
    const record = this.#record.get();
    if (record === undefined) throw new Error("there is no session");
    return await sessionFacts(record, {
      turns: this.#turns,
      tokens: this.#tokens,
      store: this.#standing.store(record.tenant),
      databaseBytes: this.ctx.storage.sql.databaseSize,
      ingest: this.#document.progress(),
    });
  }

  async #with<T>(call: (record: SessionRecord) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const record = this.#standing.isLeaving ? undefined : this.#record.get();
    return record === undefined ? { ok: false, failure: sessionNotFound() } : await call(record);
  }
}
