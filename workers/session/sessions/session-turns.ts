/** The turns of a session: one has it at a time, is rendered where the conversation ends, and is written down at its end. */
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { FunctionCall } from "../../contracts/transcript.ts";
import type { TurnMessages } from "../../contracts/session.ts";
import { modelUnavailable, ownVersionGone } from "../../models/failures.ts";
import { modelOfVersion, type ServedModel } from "../../models/served-model.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, conflict, invalidRequest, responseNotFound, responseRunning, sessionOfAnotherModel } from "../failures.ts";
import type { TurnBase } from "../generation/turn-base.ts";
import { newId, streamObjectName } from "../ids/ids.ts";
import { guarded, isStorageCorrupt, type Objects } from "../storage/broken.ts";
import type { BaseReader } from "./base-reader.ts";
import {
  ownerOf,
  sessionObjectName,
  type BegunTurn,
  type OrderOfTurn,
  type StandingBase,
  type TurnResult,
  type TurnStreams,
  type TurnTaker,
} from "./contract.ts";
import { letOldStatesGo } from "./kept-states.ts";
import { Opening } from "./opening.ts";
import { unixSeconds, type RecordRow, type SessionCopy, type SessionRecord } from "./record.ts";
import { openingOfTurn, turnPrompt } from "../../models/turn-prompt.ts";
import { messageBytes, renderTurn } from "./render-turn.ts";
import type { ResponseRows } from "./response-rows.ts";
import type { SessionObject } from "./session-object.ts";
import type { SessionStanding } from "./session-standing.ts";
import type { StreamRows } from "./stream-rows.ts";
import type { TokenLog } from "./token-log.ts";
import type { StoredTurn, TurnRows } from "./turn-rows.ts";

/** What the session's object has. */
export interface TurnParts {
  readonly environment: SessionEnvironment;
  readonly storage: DurableObjectStorage;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
  readonly streams: StreamRows;
  readonly responses: ResponseRows;
  readonly base: BaseReader;
  readonly standing: SessionStanding;
  /** All up to a turn's end. */
  readonly copy: (turn: number) => Promise<Outcome<SessionCopy>>;
  /** All of the session. */
  readonly remove: (tenant: string) => Promise<Outcome<null>>;
  /** A call with the session's record, or that there is no session. */
  readonly found: <T>(call: (record: SessionRecord) => Promise<Outcome<T>>) => Promise<Outcome<T>>;
}

export class SessionTurns implements TurnTaker {
  readonly #parts: TurnParts;
  readonly #opening: Opening;

  constructor(parts: TurnParts) {
    this.#parts = parts;
    this.#opening = new Opening(parts);
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
    const followed = this.#followed(order.turn.after, last);
    if (!followed.ok) return followed;
    const other = this.#opening.changeFor(model, order.turn);
    const before = this.#parts.turns.get(followed.value);
    const rendered = renderTurn(model, order.turn, {
      turns: followed.value,
      tokens: before?.tokens ?? 0,
      calls: callsOf(before),
      bytes: this.#parts.storage.sql.databaseSize,
      added: other?.added ?? 0,
    });
    if (isBusy || followed.value !== last || order.turn.isPassing === true) return await this.#beginInFork(order, followed.value);
    const turn = last + 1;
    const stateless = other?.apply() ?? [];
    const record = this.#parts.record.change({
      ...{ running: { turn, stream: order.stream }, updated: unixSeconds() },
      ...this.#opening.begun(turn, order.turn, rendered.prompt),
    });
    this.#parts.streams.begin(order.stream);
    for (const number of stateless) await this.#parts.standing.release(ownerOf(record.id, number));
    const recipeBytes = order.turn.isResponse === true ? order.recipe.length : 0;
    const added = messageBytes(order.turn.messages) + rendered.prompt.byteLength + recipeBytes;
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
    return {
      ok: true,
      value: {
        prepared: {
          session: record.id,
          turn,
          base: base.value,
          seen,
          lastBackend,
          ...(other === undefined ? {} : { hasOtherOpening: true }),
        },
        rendered,
      },
    };
  }

  /** As many as the turn would go on from, its own with them. */
  async countTurn(version: ModelVersion, turn: TurnMessages): Promise<Outcome<number>> {
    return await asOutcome(() =>
      this.#parts.found(async (record) => {
        const { turns, tokens } = this.#parts;
        const model = await modelOfVersion(this.#parts.environment, record.model);
        const followed = this.#followed(turn.after, Math.max(0, turns.last));
        if (version.id !== record.model.id) return { ok: false, failure: sessionOfAnotherModel(record.model.id) };
        if (!followed.ok) return followed;
        const last = turns.get(followed.value);
        const before = last?.tokens ?? (turns.last < 0 ? tokens.length : 0);
        const position = { turns: followed.value, tokens: before, calls: callsOf(last) };
        const prompt = turnPrompt(model, turn.messages, position, openingOfTurn(turn));
        return { ok: true, value: before + (this.#opening.changeFor(model, turn)?.added ?? 0) + prompt.length };
      }),
    );
  }

  /** Where a question about the conversation starts that is no turn of it: at its last turn's end. */
  async standingBase(model: ModelVersion, keepsStates: boolean): Promise<Outcome<StandingBase>> {
    return await this.#parts.found(async (record) => {
      if (record.model.id !== model.id) return { ok: false, failure: sessionOfAnotherModel(record.model.id) };
      if (record.model.digest !== model.digest)
        return { ok: false, failure: modelUnavailable(model.id, ownVersionGone(record.model.digest)) };
      const base = await this.#readBase(record, keepsStates);
      if (!base.ok) return base;
      const length = base.value.tokens + base.value.unread.length;
      if (length === 0)
        return { ok: false, failure: invalidRequest("'session_id': nothing has been said in this session yet.", "session_id") };
      const turns = Math.max(0, this.#parts.turns.last);
      return { ok: true, value: { base: base.value, text: this.#parts.tokens.read(0, length), turns } };
    });
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
      const { turn, stream, prompt, answer, finish, text, calls = [], snapshot, backend = null } = result;
      if (record.running?.stream !== stream) return { ok: true, value: null };
      if (record.isPassing === true) {
        // Its client may still read the stream.
        this.#parts.streams.forget(stream);
        return await this.#parts.remove(record.tenant);
      }
      // What brought nothing leaves nothing: its client asks again.
      const isEmpty = answer.length === 0 && finish !== "stop" && finish !== "length";
      this.#parts.storage.transactionSync(() => {
        if (!isEmpty) {
          this.#parts.tokens.append(Uint32Array.from([...prompt, ...answer]));
          const answered = { role: "assistant", content: text, ...(calls.length === 0 ? {} : { calls }) } as const;
          const messages = [...result.messages, answered];
          const state = { snapshot: snapshot?.id ?? null, snapshotTokens: snapshot?.tokens ?? 0 };
          if (result.response !== undefined) this.#parts.responses.put(stream, turn, { ...result.response, usage: result.usage });
          this.#parts.turns.put({
            number: turn,
            messages,
            tokens: this.#parts.tokens.length,
            finish,
            created: result.ended ?? unixSeconds(),
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

  /** The number of the turn after which the next one comes. */
  #followed(after: string | undefined, last: number): Outcome<number> {
    if (after === undefined) return { ok: true, value: last };
    const turn = this.#parts.responses.turnOf(after);
    if (turn !== undefined) return { ok: true, value: turn };
    const isRunning = this.#parts.record.get()?.running?.stream === after;
    return { ok: false, failure: isRunning ? responseRunning() : responseNotFound() };
  }

  async #readBase(record: SessionRecord, keepsStates: boolean): Promise<Outcome<TurnBase>> {
    return await asOutcome(async () => ({ ok: true, value: await this.#parts.base.read(record, keepsStates) }));
  }

  /** One turn has the session; the other goes on from what was said before, in a session of its own. */
  async #beginInFork(order: OrderOfTurn, turn: number): Promise<Outcome<BegunTurn>> {
    const copied = await this.#parts.copy(turn);
    if (!copied.ok) return copied;
    const { record } = copied.value;
    const { after, isPassing, ...turnOfFork } = order.turn;
    // Who goes on from a response knows of no session.
    const isOfResponses = after !== undefined || record.isOfResponses === true;
    const id = await newId(this.#parts.environment, "sess", record.tenant);
    const parent = { session: record.id, turn };
    const now = unixSeconds();
    const fork = this.#parts.environment.SESSION_OBJECT.getByName(sessionObjectName(record.tenant, id)) as unknown as ForkSurface;
    const made = await fork.create(
      { ...record, id, parent, created: now, updated: now, running: null, isOfResponses, ...(isPassing === true ? { isPassing } : {}) },
      copied.value,
    );
    if (!made.ok) return made;
    const begun = await fork.beginTurn({ ...order, turn: turnOfFork });
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

/** Which what functions gave may be of. */
const callsOf = (turn: StoredTurn | undefined): readonly FunctionCall[] => turn?.messages.flatMap(({ calls = [] }) => calls) ?? [];

type ForkSurface = Pick<SessionObject, "create" | "beginTurn" | "delete">;
