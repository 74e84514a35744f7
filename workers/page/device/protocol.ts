/**
 * What the web page and the Worker with its engine say to one another. A call has a port of its own: events come on it, then the result or a
 * failure, and nothing after that. `stop` on it ends the call's work.
 */
import type { BackendFinish, TurnFinish } from "../../contracts/finish.ts";
import type { SpikingMode } from "../../contracts/spikes.ts";
import type { SamplingFields } from "../../models/sampling-parameters.ts";

export interface DeviceCalls {
  /** Has the model in memory, from the network or from what this browser keeps of it. */
  readonly load: { readonly argument: DeviceModel; readonly event: LoadProgress; readonly result: LoadedHere };
  readonly answer: { readonly argument: AnswerOrder; readonly event: DeviceEvent; readonly result: null };
  /** Takes a session file (`workers/session-file`) over as this conversation. */
  readonly adopt: { readonly argument: SealedConversation; readonly event: never; readonly result: null };
  /** The conversation as a session file; null where the engine does not remember it. */
  readonly give: { readonly argument: GiveOrder; readonly event: never; readonly result: GivenConversation | null };
  /** Forgets all but these: what was deleted here while the engine was away. */
  readonly retain: { readonly argument: readonly string[]; readonly event: never; readonly result: null };
  readonly forget: { readonly argument: string; readonly event: never; readonly result: null };
}

export type DeviceMethod = keyof DeviceCalls;

/** To the Worker, with the call's port. */
export interface DeviceCall<M extends DeviceMethod = DeviceMethod> {
  readonly method: M;
  readonly argument: DeviceCalls[M]["argument"];
}

/** On the port, to the page. */
export type DeviceReply<M extends DeviceMethod = DeviceMethod> =
  { readonly event: DeviceCalls[M]["event"] } | { readonly result: DeviceCalls[M]["result"] } | { readonly failure: DeviceFailure };

export const stopWord = "stop";

/** Of the browser's Cache Storage: the model's files. The service worker has names of its own. */
export const modelCacheName = "device-model";

export interface DeviceModel {
  readonly id: string;
  /** As the server runs it; null leaves it to the file. */
  readonly spikes: SpikingMode | null;
}

export interface LoadedHere {
  /** That compute a token between them. */
  readonly threads: number;
}

export interface LoadProgress {
  /** Bytes of the weights that are here. */
  readonly received: number;
  readonly total: number;
  /** Whether any of them came over the network. */
  readonly downloads: boolean;
}

export interface DeviceMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface AnswerOrder {
  readonly conversation: string;
  /** As `POST /v1/chat/completions` takes it outside of sessions: with the whole conversation. */
  readonly request: SamplingFields & {
    readonly messages: readonly DeviceMessage[];
    readonly max_tokens?: number;
    readonly seed?: number;
    readonly spikes?: boolean;
    readonly state?: boolean;
  };
}

/** What of an answer the page shows, in the order in which it comes. */
export type DeviceEvent =
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "state"; readonly measure: { readonly tokens: number; readonly bytes: number } }
  | {
      readonly type: "spikes";
      readonly measure: { readonly silentShare: number; readonly meanSpikes: number; readonly layers: readonly number[] | null };
    }
  | { readonly type: "finish"; readonly reason: BackendFinish }
  | { readonly type: "usage"; readonly promptTokens: number; readonly completionTokens: number; readonly cachedTokens: number };

export interface SealedConversation {
  readonly conversation: string;
  readonly file: Blob;
  readonly passphrase: string;
}

export interface GiveOrder {
  readonly conversation: string;
  readonly name: string;
  readonly passphrase: string;
}

export interface GivenConversation {
  readonly file: Blob;
  /** The answers of its turns, in order. */
  readonly answers: readonly { readonly turn: number; readonly text: string; readonly finish: TurnFinish }[];
}

export interface DeviceFailure {
  readonly kind: DeviceFailureKind;
  /** For people, where there is more to say than the kind does. */
  readonly message?: string;
}

export type DeviceFailureKind =
  /** The browser runs no WebAssembly with SIMD. */
  | "simd"
  /** The browser has no room for the weights. */
  | "storage"
  /** What was downloaded is not what it must be; it was dropped. */
  | "download"
  /** The weights, or a part of them, can't be had. */
  | "network"
  /** Weights and state do not fit in memory. */
  | "memory"
  | "context"
  /** Anything else that the engine refuses. */
  | "device";
