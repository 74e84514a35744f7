/** What the object of a session and the object of a stream ask of one another. */
import type { TurnFinish } from "../../contracts/finish.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { FunctionCall, TranscriptMessage } from "../../contracts/transcript.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { TokenUsage } from "../../contracts/engine.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { PreparedTurn, TurnBase } from "../generation/turn-base.ts";
import type { GenerationOrder, TurnOrder } from "../../contracts/session.ts";

/** Where the object of a session is found; another tenant's session of the same id is another object. */
export const sessionObjectName = (tenant: TenantId, session: string): string => `${tenant}/${session}`;

/** Who keeps a turn's state in the store; the end keeps turn 1 apart from turn 10 where owners are let go by their beginning. */
export const ownerOf = (session: string, turn: number): string => `${ownersOf(session)}${String(turn)};`;

export const ownersOf = (session: string): string => `session:${session}:`;

export interface OrderOfTurn extends GenerationOrder {
  readonly turn: TurnOrder;
}

/** What fills a turn's job. */
export interface RenderedTurn {
  /** The turn's own tokens. */
  readonly prompt: Uint32Array;
  /** As many as the answer may have. */
  readonly maxTokens: number;
}

/** What a session has read, for a question about it that is no turn of it. */
export interface StandingBase {
  readonly base: TurnBase;
  /** All that was read, `base.unread` too. */
  readonly text: Uint32Array;
  /** Turns that have ended; 0 where there is only a document. */
  readonly turns: number;
}

/** A turn that has the session, or a fork of it, until its end. */
export interface BegunTurn {
  readonly prepared: PreparedTurn;
  readonly rendered: RenderedTurn;
}

export interface TurnResult {
  readonly turn: number;
  readonly stream: string;
  /** Choice 0's text, and the functions that it calls; none where they are left out. */
  readonly text: string;
  readonly calls?: readonly FunctionCall[];
  readonly finish: TurnFinish;
  /** What the client added. */
  readonly messages: readonly TranscriptMessage[];
  /** The turn's own prompt tokens, then the tokens that make the text: those sampled, without what a stop string took away. */
  readonly prompt: Uint32Array;
  readonly answer: Uint32Array;
  /** The state after the turn, or as much of it as there is; null where the old one is still the newest. */
  readonly snapshot: { readonly id: string; readonly tokens: number } | null;
  readonly usage: TokenUsage;
  /** Unix seconds; that of the call where it is left out. */
  readonly ended?: number;
  /** Name of the backend that read the turn to its end; null, or left out, where none did. */
  readonly backend?: string | null;
  /** Of a turn that can be asked for as a response. */
  readonly response?: { readonly recipe: string; readonly failure?: ServiceFailure };
}

export interface TurnTaker {
  /** Renders the turn where the conversation ends, and takes the session for it. */
  beginTurn(order: OrderOfTurn): Promise<Outcome<BegunTurn>>;
  /** The base's snapshot was refused or is gone: another base, made by reading the conversation's tokens again. */
  rebuildBase(turn: number): Promise<Outcome<TurnBase>>;
  /** The conversation's first tokens, so many. */
  readTokens(count: number): Promise<Outcome<Uint32Array>>;
  /** Ends the turn; the same result again changes nothing. */
  endTurn(result: TurnResult): Promise<Outcome<null>>;
}

/** What a session asks of the object that runs its turns. */
export interface TurnStreams {
  /** Whether this stream has not ended; one that was lost goes on by being asked. */
  isRunning(stream: string): Promise<boolean>;
  /** Ends these streams of a tenant and deletes what is stored of them. */
  forget(tenant: string, streams: readonly string[]): Promise<void>;
}
