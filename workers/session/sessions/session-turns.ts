/** The turns of a session: one has it at a time, is rendered where the conversation ends, and is written down at its end. */
import type { Outcome } from "../../contracts/engine.ts";
import { modelUnavailable, ownVersionGone } from "../../models/failures.ts";
import { modelOfVersion, type ServedModel } from "../../models/served-model.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, conflict, invalidRequest, sessionOfAnotherModel } from "../failures.ts";
import type { TurnBase } from "../generation/turn-base.ts";
import { newId, streamObjectName } from "../ids/ids.ts";
import { guarded, isStorageCorrupt, type Objects } from "../storage/broken.ts";
import type { BaseReader } from "./base-reader.ts";
import { sessionObjectName, type BegunTurn, type OrderOfTurn, type TurnResult, type TurnStreams, type TurnTaker } from "./contract.ts";
import { letOldStatesGo } from "./kept-states.ts";
import { unixSeconds, type RecordRow, type SessionCopy, type SessionRecord } from "./record.ts";
import { messageBytes, renderTurn } from "./render-turn.ts";
import type { SessionObject } from "./session-object.ts";
import type { SessionStanding } from "./session-standing.ts";
import type { StreamRows } from "./stream-rows.ts";
import type { TokenLog } from "./token-log.ts";
import type { TurnRows } from "./turn-rows.ts";

/** What the session's object has. */
export interface TurnParts {
  readonly environment: SessionEnvironment;
  readonly storage: DurableObjectStorage;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
  readonly streams: StreamRows;
  readonly base: BaseReader;
  readonly standing: SessionStanding;
  /** All up to a turn's end. */
  readonly copy: (turn: number) => Promise<Outcome<SessionCopy>>;
  /** A call with the session's record, or that there is no session. */
  readonly found: <T>(call: (record: SessionRecord) => Promise<Outcome<T>>) => Promise<Outcome<T>>;
}

export class SessionTurns implements TurnTaker {
  readonly #parts: TurnParts;

  constructor(parts: TurnParts) {
    this.#parts = parts;
  }

  async beginTurn(order: OrderOfTurn): Promise<Outcome<BegunTurn>> {
    return await asOutcome(() =>
      this.#parts.found(async ({ kind, model: version }) => {
        if (version.id !== order.model.id) return { ok: false, failure: sessionOfAnotherModel(version.id) };
        if (kind !== "session")
          return { ok: false, failure: invalidRequest("A context takes no turns: make a session from it.", "session_id") };
        const model = await modelOfVersion(this.#parts.environment, version);
        if (version.digest !== order.model.digest)
          return { ok: false, failure: modelUnavailable(version.id, ownVersionGone(version.digest)) };
        const isBusy = await this.isBusy();
        // It may have been deleted meanwhile.
        return await this.#parts.found(() => this.#begin(order, model, isBusy));
      }),
    );
  }

  /** Waits for nothing before the turn is noted, so that it is rendered for what it follows. */
  async #begin(order: OrderOfTurn, model: ServedModel, isBusy: boolean): Promise<Outcome<BegunTurn>> {
    const last = Math.max(0, this.#parts.turns.last);
    const held = { turns: last, tokens: this.#parts.tokens.length, bytes: this.#parts.storage.sql.databaseSize };
    const rendered = renderTurn(model, order.turn, held);
    if (isBusy) return await this.#beginInFork(order, last);
    const turn = last + 1;
    const record = this.#parts.record.change({ running: { turn, stream: order.stream }, updated: unixSeconds() });
    this.#parts.streams.begin(order.stream);
    const added = messageBytes(order.turn.messages) + rendered.prompt.byteLength;
    const [base, refusal] = await Promise.all([
      this.#readBase(record, order.abilities.includes("states")),
      this.#parts.standing.account.admit(record, added),
      this.#parts.standing.list(),
    ]);
    if ((!base.ok || refusal !== undefined) && this.#parts.record.get()?.running?.stream === order.stream)
      this.#parts.record.change({ running: null });
    if (!base.ok) return base;
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const { snapshot, tokens } = base.value;
    const penalised = order.jobs.some(({ request }) => request.sampling.repetitionPenalty !== 1);
    const seen = penalised && snapshot !== null ? this.#parts.tokens.distinct(tokens) : new Uint32Array();
    const lastBackend = this.#parts.record.get()?.lastBackend ?? null;
    return { ok: true, value: { prepared: { session: record.id, turn, base: base.value, seen, lastBackend }, rendered } };
  }

  async rebuildBase(): Promise<Outcome<TurnBase>> {
    return await this.#parts.found(async (record) => {
      const lost = this.#parts.turns.withSnapshot()?.snapshot;
      if (lost !== undefined && lost !== null) this.#parts.turns.forget(lost);
      return await this.#readBase(record, true);
    });
  }

  async readTokens(count: number): Promise<Outcome<Uint32Array>> {
    return await this.#parts.found(async () => {
      const failure = conflict("The conversation no longer has the tokens of the state.");
      return await Promise.resolve(
        this.#parts.tokens.length < count ? { ok: false, failure } : { ok: true, value: this.#parts.tokens.read(0, count) },
      );
    });
  }

  async endTurn(result: TurnResult): Promise<Outcome<null>> {
    return await this.#parts.found(async (record) => {
      const { turn, stream, prompt, answer, finish, text, snapshot, backend = null } = result;
      if (record.running?.stream !== stream) return { ok: true, value: null };
      // What brought nothing leaves nothing: its client asks again.
      const isEmpty = answer.length === 0 && finish !== "stop" && finish !== "length";
      this.#parts.storage.transactionSync(() => {
        if (!isEmpty) {
          this.#parts.tokens.append(Uint32Array.from([...prompt, ...answer]));
          const messages = [...result.messages, { role: "assistant", content: text } as const];
          const state = { snapshot: snapshot?.id ?? null, snapshotTokens: snapshot?.tokens ?? 0 };
          this.#parts.turns.put({
            number: turn,
            messages,
            tokens: this.#parts.tokens.length,
            finish,
            created: unixSeconds(),
            stream,
            ...state,
          });
        }
        this.#parts.record.change({ running: null, updated: unixSeconds(), ...(backend === null ? {} : { lastBackend: backend }) });
        this.#parts.streams.end(stream);
      });
      await letOldStatesGo(this.#parts.standing.states(record));
      await this.#parts.standing.touched();
      return { ok: true, value: null };
    });
  }

  async #readBase(record: SessionRecord, keepsStates: boolean): Promise<Outcome<TurnBase>> {
    return await asOutcome(async () => ({ ok: true, value: await this.#parts.base.read(record, keepsStates) }));
  }

  /** One turn has the session; the other goes on from what was said before, in a session of its own. */
  async #beginInFork(order: OrderOfTurn, turn: number): Promise<Outcome<BegunTurn>> {
    const copied = await this.#parts.copy(turn);
    if (!copied.ok) return copied;
    const { record } = copied.value;
    const id = await newId(this.#parts.environment, "sess", record.tenant);
    const parent = { session: record.id, turn };
    const now = unixSeconds();
    const fork = this.#parts.environment.SESSION_OBJECT.getByName(sessionObjectName(record.tenant, id)) as unknown as ForkSurface;
    const made = await fork.create({ ...record, id, parent, created: now, updated: now, running: null }, copied.value);
    if (!made.ok) return made;
    const begun = await fork.beginTurn(order);
    // Nobody has heard of a fork whose turn was refused.
    if (!begun.ok) await fork.delete(record.tenant);
    return begun;
  }

  /** Whether a turn has it; one may begin while this is found out. */
  async isBusy(): Promise<boolean> {
    const running = this.#parts.record.get()?.running ?? null;
    if (running === null) return false;
    try {
      if (await this.#stream(running.stream)?.isRunning(running.stream)) return true;
    } catch (cause) {
      // A turn whose stream is lost with its file has ended.
      if (!isStorageCorrupt(cause)) throw cause;
    }
    const now = this.#parts.record.get()?.running ?? null;
    return now !== null && now.stream !== running.stream;
  }

  #stream(stream: string): TurnStreams | undefined {
    const name = streamObjectName(stream);
    if (name === undefined) return undefined;
    const objects: Objects<TurnStreams> = this.#parts.environment.STREAM_OBJECT;
    return guarded(objects, name, "stream", (stub) => stub.isRunning(""));
  }
}

type ForkSurface = Pick<SessionObject, "create" | "beginTurn" | "delete">;
