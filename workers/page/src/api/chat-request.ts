/** What a conversation asks of the model. Null leaves a setting to the server. */
export interface Settings {
  readonly system: string;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly minP: number | null;
  readonly presencePenalty: number | null;
  readonly frequencyPenalty: number | null;
  readonly repetitionPenalty: number | null;
  readonly maxTokens: number | null;
  readonly seed: number | null;
  /** Whether to ask what fires; conversations stored before there was a choice have none. */
  readonly spikes?: boolean;
}

export type NumberSetting = Exclude<keyof Settings, "system" | "spikes">;

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** The body of `POST /v1/chat/completions` as this page sends it. A setting left empty is not sent: the server's default applies. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: true;
  readonly stream_options: { readonly include_usage: true };
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repetition_penalty?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
  readonly spikes?: true;
  readonly state?: true;
  readonly placement?: true;
  /** The session that goes on: `messages` are then only what it has not seen. */
  readonly session_id?: string;
}

export function chatMessages(
  system: string,
  turns: readonly { readonly role: "user" | "assistant"; readonly text: string }[],
): ChatMessage[] {
  const messages: ChatMessage[] = [];
  if (system.trim() !== "") messages.push({ role: "system", content: system });
  for (const turn of turns) {
    // An answer that failed before its first token has nothing to say to the model.
    if (turn.role === "assistant" && turn.text === "") continue;
    messages.push({ role: turn.role, content: turn.text });
  }
  return messages;
}

export interface ChatRequestOptions {
  /** Asks what the conversation's state takes; a server that does not know refuses it. */
  readonly reportState: boolean;
  /** Asks where the answer runs; a server that does not know refuses it. */
  readonly reportPlacement: boolean;
  readonly session?: string;
}

export function chatRequest(
  model: string,
  messages: readonly ChatMessage[],
  settings: Settings,
  { reportState, reportPlacement, session }: ChatRequestOptions,
): ChatRequest {
  const spikes = settings.spikes === true ? { spikes: true as const } : {};
  const state = reportState ? { state: true as const } : {};
  const placement = reportPlacement ? { placement: true as const } : {};
  const turn = session === undefined ? {} : { session_id: session };
  const stream = { stream: true, stream_options: { include_usage: true } } as const;
  return { model, ...turn, messages, ...stream, ...samplingFields(settings), ...spikes, ...state, ...placement };
}

/** What a request calls each setting. */
export const fieldNames = {
  temperature: "temperature",
  topP: "top_p",
  topK: "top_k",
  minP: "min_p",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
  repetitionPenalty: "repetition_penalty",
  maxTokens: "max_tokens",
  seed: "seed",
} as const satisfies Readonly<Record<NumberSetting, keyof SamplingFields>>;

type SamplingFields = Omit<
  ChatRequest,
  "model" | "messages" | "stream" | "stream_options" | "spikes" | "state" | "placement" | "session_id"
>;

function samplingFields(settings: Settings): SamplingFields {
  const fields = Object.entries(fieldNames) as [NumberSetting, keyof SamplingFields][];
  return Object.fromEntries(fields.map(([setting, field]) => [field, settings[setting]] as const).filter(([, value]) => value !== null));
}
