/**
 * The session Worker's RPC surface: it owns running generations, the states of conversations, and what tenants keep. Failures come as
 * `ok: false`, never as a thrown error. A tenant is never told whether what it may not see exists: that is "not found", as is the unknown.
 */
import type { Caller } from "./caller.ts";
import type { TurnFinish } from "./finish.ts";
import type { Ability } from "./abilities.ts";
import type { ChoiceEvent, Job } from "./choice.ts";
import type { DecisionCaller, DecisionOrder, DecisionScores } from "./decisions.ts";
import type { CacheReport } from "./cache-report.ts";
import type { ModelVersion } from "./model-version.ts";
import type { Outcome } from "./outcome.ts";
import type { TokenUsage } from "./engine.ts";
import type { TenantId } from "./tenant.ts";
import type { TranscriptMessage } from "./transcript.ts";
import type { ServiceFailure } from "./errors.ts";
import type { Placed } from "./pool.ts";
import type { ToldFunction } from "./tools.ts";

/** A request that generates, once its stream has a name. */
export interface GenerationOrder {
  /** Names the stream; unguessable, because it and the tenant are what a client needs to come back. */
  readonly stream: string;
  readonly tenant: TenantId | null;
  /** The model that answers, and by whose tokenizer its tokens are read as long as the stream is kept. */
  readonly model: ModelVersion;
  /** What the model's backend can. */
  readonly abilities: readonly Ability[];
  /** A turn of a session has one, whose `prompt` is empty and whose `maxTokens` is 0: the session fills both when the turn begins. */
  readonly jobs: readonly Job[];
  /** What the gateway needs to write the same bytes again for a client that comes back; opaque to everybody else. */
  readonly recipe: string;
  /** Whether a client that leaves may come back. Where it may not, its leaving ends the generation at once. */
  readonly resumable: boolean;
  /** The session that this is a turn of. */
  readonly turn?: TurnOrder;
  /** Whether a second backend is asked where the first is slow with its first token; not where it is left out. */
  readonly hedge?: boolean;
  /** The data centre that took it, where the runtime tells: its stream is run near it, and so are its backends where there is a choice. */
  readonly place?: string;
}

/** One request that generates. */
export interface GenerationRequest extends Omit<GenerationOrder, "stream" | "turn"> {
  readonly turn?: TurnRequest;
}

/** What a turn's length depends on. */
export type TurnMessages = Pick<TurnOrder, "session" | "messages" | "instructions" | "tools" | "after">;

export interface TurnRequest extends Omit<TurnOrder, "session"> {
  /** Null: one that is made for it, and that goes with the last response in it. */
  readonly session: string | null;
}

export interface TurnOrder {
  readonly session: string;
  /** What the client added: the session renders it after what it has read, and its transcript takes it, with the answer after it. */
  readonly messages: readonly TranscriptMessage[];
  /**
   * The system message that the conversation begins with for this turn, or none (null): in the place of the one of the turns before it. They keep
   * theirs where it is left out.
   */
  readonly instructions?: string | null;
  /** The functions that the conversation tells of for this turn, in the same way. */
  readonly tools?: readonly ToldFunction[];
  /** The stream of the response that it follows: in a fork where another turn follows that one. After the last turn where it is left out. */
  readonly after?: string;
  /** Whether it can be asked for under the name of its stream, as long as it is there, with its recipe and what it used. */
  readonly isResponse?: boolean;
  /** Whether nothing of it is kept: a fork takes it, which nobody is told of, and goes with it. It ends without a reader, as what is of no session. */
  readonly isPassing?: boolean;
  readonly limits: TokenLimits;
  /** Whether the tokens that the session holds count into the context; they do not where the backend keeps states, and of one size for any conversation. */
  readonly countsHeld: boolean;
}

/** How many tokens an answer was asked to have, and how many there may be. */
export interface TokenLimits {
  /** The request's field that holds the prompt, for messages about its length. */
  readonly promptField: "messages" | "prompt" | "input";
  /** Null: the default, or as many as the context leaves. */
  readonly maxTokens: number | null;
  /** Upper bound where the client named none. */
  readonly defaultMaxTokens: number;
  readonly minTokens: number;
  /** The longest prompt plus answer that the backend takes in one request, in tokens. */
  readonly contextLength: number;
}

/** A generation's events: JSON lines of {@link StreamEntry}, from the first or after one already seen, then live, then the end. */
export interface OpenStream {
  readonly stream: string;
  /** As ordered. */
  readonly model: ModelVersion;
  /** Lines of its first entries, as far as they were there when it was opened, in the form that `entries` has; it goes on behind them. */
  readonly known?: string;
  readonly entries: ReadableStream<Uint8Array>;
  readonly recipe: string;
  /** Whether the last of its entries is there. */
  readonly ended: boolean;
  /**
   * The highest number that a client may have been sent. That of the last entry so far; where the object was lost while it ran, the most that
   * the answer can have, because entries are sent a moment before they are durable.
   */
  readonly reach: number;
  readonly cache: CacheReport;
  /** Where its first choice ran last; without reasons once the run itself is over. Left out where nothing has run. */
  readonly placed?: Placed;
  /** The session that holds the turn: another than asked for when that one was busy, and this is a fork of it. */
  readonly session?: string;
  /** The turn's number there. */
  readonly turn?: number;
}

/** Numbered from 1 without gaps; exactly one `done` or `failed`, which is the last. The same to every reader, however often it comes back. */
export interface StreamEntry {
  /** Null: of the moment only (how far a prompt is read), and not repeated. */
  readonly number: number | null;
  readonly event: ChoiceEvent | StreamDone | { readonly type: "failed"; readonly failure: ServiceFailure };
}

export interface StreamDone {
  readonly type: "done";
  /** Whether a client asked for an end before the answer's own. */
  readonly stopped?: true;
  /** Unix seconds; left out in streams of before. */
  readonly at?: number;
}

/** A turn that was asked for as a response, once it has ended. */
export interface StoredResponse {
  readonly turn: Turn;
  /** As ordered. */
  readonly recipe: string;
  readonly usage: TokenUsage;
  /** Why it broke off, where it did. */
  readonly failure?: ServiceFailure;
}

export interface SessionFacts {
  readonly id: string;
  /** A context is a document that was read once, and that sessions start from; it takes no turns itself. */
  readonly kind: "session" | "context";
  readonly name: string;
  readonly model: string;
  /** What its tokens and states belong to: it goes on with this one as long as a backend has it. */
  readonly version: ModelVersion;
  /** Unix seconds. */
  readonly created: number;
  readonly updated: number;
  readonly expires: number;
  /** Of everything it has read and said. */
  readonly tokens: number;
  readonly turns: number;
  /** What its newest state takes in the store; pages that forks share are counted whole. */
  readonly stateBytes: number;
  /** What it takes itself: transcript and tokens, and of its newest state what no other snapshot has. */
  readonly bytes: number;
  /** Where its newest state lies: at the edge at once, in durable storage, or to be read again from its tokens. */
  readonly tier: "hot" | "durable" | "tokens";
  readonly parent?: { readonly session: string; readonly turn: number };
  /** The stream of the turn that runs now. */
  readonly running?: string;
  /** Of a context that is still being read. */
  readonly ingest?: IngestProgress;
  /** What its client notes of it. */
  readonly metadata?: Metadata;
}

export type Metadata = Readonly<Record<string, string>>;

export interface IngestProgress {
  /** `uploading`: more text may come. `failed` says why and may be continued. */
  readonly stage: "uploading" | "reading" | "ready" | "failed";
  /** UTF-8 bytes taken, which is where an upload that was cut goes on. */
  readonly receivedBytes: number;
  readonly tokens: number;
  readonly readTokens: number;
  readonly failure?: ServiceFailure;
}

export interface Turn {
  /** From 1. */
  readonly number: number;
  /** Its stream's name; empty for a turn that came in a file. */
  readonly stream: string;
  readonly messages: readonly TranscriptMessage[];
  /** Tokens of the conversation once this turn has ended. */
  readonly tokens: number;
  readonly finish: TurnFinish;
  readonly created: number;
}

/** As many turns as one call carries, at least one where there is one. */
export interface TurnList {
  readonly turns: readonly Turn[];
  readonly hasMore: boolean;
}

export interface NewSession {
  readonly model: string;
  readonly name?: string;
  readonly metadata?: Metadata;
  /** A session or context of the tenant's to fork from, at the end of this turn or of its last. */
  readonly from?: { readonly session: string; readonly turn?: number };
  /** Or somebody's share. */
  readonly share?: string;
}

/** A link to a session as it was then. Times are Unix seconds. */
export interface ShareFacts {
  readonly id: string;
  readonly session: string;
  readonly name: string;
  readonly created: number;
  readonly expires: number;
}

/** With some of its turns. */
export interface SharedSession extends TurnList {
  readonly name: string;
  readonly model: string;
  readonly tokens: number;
  readonly stateBytes: number;
  readonly expires: number;
}

/** What a session Worker says of a tenant's storage. */
export interface TenantUsage {
  readonly sessions: number;
  /** Of states, by where they lie. */
  readonly hotBytes: number;
  readonly durableBytes: number;
  /** What counts into the quota, by kind. An imported session is a session; streams are answers that can be read again. */
  readonly bytes: Readonly<Record<"states" | "sessions" | "contexts" | "shares" | "streams", number>>;
  readonly quotaBytes: number;
}

export interface SessionBackend {
  /** Runs an order. Refusals known before the first token come as `ok: false`. What has not begun when its `caller` goes is given up. */
  start(request: GenerationRequest, caller?: Caller): Promise<Outcome<OpenStream>>;
  /** Reads an input once and answers questions about it. Ends with its client. */
  decide(order: DecisionOrder, caller?: DecisionCaller): Promise<Outcome<DecisionScores>>;
  /** Entries after this number, for a client that comes back. */
  attach(tenant: TenantId | null, stream: string, after: number): Promise<Outcome<OpenStream>>;
  /** Ends a generation as if its answer had ended here. */
  stop(tenant: TenantId | null, stream: string): Promise<Outcome<null>>;
  /** What the client of a turn's stream added to its session. */
  asked(tenant: TenantId, stream: string): Promise<Outcome<readonly TranscriptMessage[]>>;

  createSession(tenant: TenantId, request: NewSession): Promise<Outcome<SessionFacts>>;
  session(tenant: TenantId, id: string): Promise<Outcome<SessionFacts>>;
  /** Newest first; `after` is the last id of the list page before. */
  sessions(tenant: TenantId, kind: "session" | "context", limit: number, after?: string): Promise<Outcome<readonly SessionFacts[]>>;
  /** Those after a number; fewer than `limit` where they are long. */
  turns(tenant: TenantId, id: string, limit: number, after: number): Promise<Outcome<TurnList>>;
  /**
   * The turn whose stream has this name. Null while it runs, and where it left nothing in its session: its stream tells what became of it then, for
   * as long as it is kept.
   */
  response(tenant: TenantId, session: string, stream: string): Promise<Outcome<StoredResponse | null>>;
  /**
   * Ends a response where it runs, and forgets it and its stream. Its turn goes with it where no other response has been made of it and nobody but
   * responses made the session; where that was the last of them, the session goes.
   */
  deleteResponse(tenant: TenantId, session: string, stream: string): Promise<Outcome<null>>;
  renameSession(tenant: TenantId, id: string, name: string): Promise<Outcome<SessionFacts>>;
  /** In the place of what was noted before. */
  noteMetadata(tenant: TenantId, id: string, metadata: Metadata): Promise<Outcome<SessionFacts>>;
  /** Tokens that such a turn would go on from, its own with them. */
  countTurn(tenant: TenantId, model: ModelVersion, turn: TurnMessages): Promise<Outcome<number>>;
  /** Back to the end of this turn; 0 is the beginning. */
  rewindSession(tenant: TenantId, id: string, turn: number): Promise<Outcome<SessionFacts>>;
  deleteSession(tenant: TenantId, id: string): Promise<Outcome<null>>;

  shareSession(tenant: TenantId, id: string, seconds: number): Promise<Outcome<{ readonly share: string; readonly expires: number }>>;
  /** Those that have not expired, latest first, of one session where it is named. */
  shares(tenant: TenantId, limit: number, after?: string, session?: string): Promise<Outcome<readonly ShareFacts[]>>;
  unshare(tenant: TenantId, share: string): Promise<Outcome<null>>;
  /** With the turns after a number. Needs no tenant: the link is the permission. */
  shared(share: string, after: number): Promise<Outcome<SharedSession>>;

  /** A sealed file: under the tenant's key, or under a passphrase to hand it over. */
  exportSession(tenant: TenantId, id: string, passphrase: string | null): Promise<Outcome<{ readonly file: ReadableStream<Uint8Array> }>>;
  importSession(tenant: TenantId, file: ReadableStream<Uint8Array>, passphrase: string | null): Promise<Outcome<SessionFacts>>;

  /** With all of its text, or empty. One whose text is refused or breaks off is not made. */
  createContext(
    tenant: TenantId,
    request: { readonly model: string; readonly name?: string },
    text?: ReadableStream<Uint8Array>,
  ): Promise<Outcome<SessionFacts>>;
  /** Appends UTF-8 text; `offset` must be where the text so far ends. What was taken stays taken if the stream breaks. */
  appendContext(
    tenant: TenantId,
    id: string,
    offset: number,
    text: ReadableStream<Uint8Array>,
    last: boolean,
  ): Promise<Outcome<SessionFacts>>;
  /** JSON lines of {@link SessionFacts}, one whenever something has changed, until it is ready or has failed. */
  followContext(tenant: TenantId, id: string): Promise<Outcome<ReadableStream<Uint8Array>>>;

  usage(tenant: TenantId): Promise<Outcome<TenantUsage>>;
  /** Everything a tenant has. */
  deleteTenant(tenant: TenantId): Promise<Outcome<null>>;
}
