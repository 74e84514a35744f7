/** One answer of the engine here: the same work that an answer of the server's takes, by the same code. */
import type { GenerateRequest, ResumeState } from "../../contracts/engine.ts";
import { decodeEvents } from "../../contracts/event-stream.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { submitWithState } from "../../contracts/request/open-state.ts";
import type { TurnFinish } from "../../contracts/finish.ts";
import { joined } from "../../encoding/joined.ts";
import type { LoadedModel } from "../../engine/described-model.ts";
import type { Scheduler } from "../../engine/scheduler.ts";
import { samplingParameters, randomSeed } from "../../models/sampling-parameters.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { defaultCompletionTokens, tokensToGenerate } from "../../models/token-budget.ts";
import { openingOfTurn, turnPrompt } from "../../models/turn-prompt.ts";
import { StreamDecoder } from "../../tokenizer/stream-decoder.ts";
import { startOf, withState, type Remembered, type RememberedState, type TurnStart } from "./conversation.ts";
import type { AnswerOrder, DeviceEvent } from "./protocol.ts";
import { spikeMeasure } from "./spikes.ts";

export interface DeviceEngine {
  readonly served: ServedModel;
  readonly loaded: LoadedModel;
  readonly scheduler: Scheduler;
}

/** What is remembered afterwards; undefined where the answer was stopped before its first token. @throws ServiceError */
export async function answer(
  { served, loaded, scheduler }: DeviceEngine,
  { conversation, request }: AnswerOrder,
  before: Remembered | undefined,
  emit: (event: DeviceEvent) => void,
  signal: AbortSignal,
): Promise<Remembered | undefined> {
  const start = startOf(before, request.messages);
  const prompt = turnPrompt(
    served,
    start.added,
    { turns: start.turns.filter(({ number }) => number > 0).length, tokens: start.tokens.length },
    openingOfTurn({}),
  );
  const submitted = await submitWithState(scheduler, generateRequest(served, loaded, request, start, prompt));
  if (!submitted.ok) throw new ServiceError(submitted.failure);
  const decoder = new StreamDecoder(served.tokenizer, { skipSpecial: true });
  const ids: number[] = [];
  const chunks: Uint8Array[] = [];
  let text = "";
  let finish: TurnFinish = "cancelled";
  let state: RememberedState | undefined;
  const say = (more: string): void => {
    text += more;
    if (more !== "") emit({ type: "delta", text: more });
  };
  for await (const event of decodeEvents(submitted.value, signal, { afterFinish: true })) {
    if (signal.aborted) break;
    if (event.type === "error") throw new ServiceError(event.failure);
    if ((event.type === "read" || event.type === "token") && event.state !== undefined) emit({ type: "state", measure: event.state });
    if (event.type === "token") {
      ids.push(event.id);
      if (event.spikes !== undefined) emit({ type: "spikes", measure: spikeMeasure(event.spikes, undefined) });
      say(decoder.push(event.id));
    } else if (event.type === "finish") {
      const { promptTokens, completionTokens, cachedTokens } = event.usage;
      say(decoder.flush());
      finish = event.reason;
      if (event.state !== undefined) emit({ type: "state", measure: event.state });
      if (event.spikes !== undefined) emit({ type: "spikes", measure: spikeMeasure(undefined, event.spikes) });
      emit({ type: "finish", reason: event.reason });
      emit({ type: "usage", promptTokens, completionTokens, cachedTokens });
    } else if (event.type === "state") chunks.push(event.bytes);
    else if (event.type === "saved") state = { tokens: event.tokens, bytes: joined(chunks) };
  }
  if (ids.length === 0 && finish === "cancelled") return undefined;
  const tokens = Uint32Array.from([...start.tokens, ...prompt, ...ids]);
  const turn = {
    number: (start.turns.at(-1)?.number ?? 0) + 1,
    messages: [...start.added, { role: "assistant" as const, content: text }],
    ...{ tokens: tokens.length, finish, created: Math.floor(Date.now() / 1000) },
  };
  const { digest: model, tokenizerDigest: tokenizer } = loaded.description;
  const states = withState(before?.states.filter((one) => one.tokens <= start.tokens.length) ?? [], tokens.length, state);
  // What was begun anew begins with nothing else.
  const opening = start.turns.length === 0 || before?.opening === undefined ? {} : { opening: before.opening };
  return { id: conversation, model, tokenizer, turns: [...start.turns, turn], ...opening, tokens, states, updated: Date.now() };
}

function generateRequest(
  served: ServedModel,
  { description }: LoadedModel,
  request: AnswerOrder["request"],
  { tokens, state }: TurnStart,
  added: Uint32Array,
): GenerateRequest {
  const { id, digest, tokenizerDigest, contextLength } = description;
  const unread = tokens.subarray(state?.tokens ?? 0);
  // Where the state grows, what it has read counts.
  const held = description.state?.constant === true ? 0 : tokens.length;
  const limits = { promptField: "messages", maxTokens: request.max_tokens ?? null, defaultMaxTokens: defaultCompletionTokens } as const;
  const maxTokens = tokensToGenerate(added.length, { ...limits, minTokens: 0, contextLength: contextLength - held });
  const sampling = samplingParameters(request, served.card, [], request.seed === undefined ? randomSeed(true) : BigInt(request.seed));
  const resume = state === undefined ? undefined : resumeState(state, sampling.repetitionPenalty === 1 ? tokens.subarray(0, 0) : tokens);
  return {
    model: { id, digest, tokenizerDigest },
    requestId: "device",
    prompt: Uint32Array.from([...unread, ...added]),
    maxTokens,
    minTokens: 0,
    stopTokens: served.stopTokens,
    sampling,
    topLogprobs: null,
    promptLogprobs: null,
    countSpikes: request.spikes === true,
    reportState: request.state === true,
    ...(resume === undefined ? {} : { resume }),
    save: { at: [], end: true, fromPage: 0 },
  };
}

/** `text` is what penalties look at, at the most: the conversation's tokens up to the turn. */
function resumeState({ tokens, bytes }: RememberedState, text: Uint32Array): ResumeState {
  return {
    tokens,
    seen: Uint32Array.from(new Set(text.subarray(0, tokens))),
    state: {
      open: () => Promise.resolve({ ok: true, value: new Blob([bytes]).stream() }),
      tokens: () => Promise.reject(new Error("the engine reads no state's tokens")),
    },
  };
}
