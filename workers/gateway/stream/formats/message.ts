/** Anthropic's `message`, whole and as the events of a stream: its content is a block of text where something was said, and one for each call. */
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type { Delta } from "../../../contracts/choice.ts";
import type { ServiceFailure } from "../../../contracts/errors.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import { parseExact } from "../../../encoding/exact-json.ts";
import { messagesErrorBody } from "../../messages/error.ts";
import type { AnswerFormat, AnswerHeader, AnswerUsage, FormatEvent } from "./format.ts";

export interface MessageFormatOptions {
  readonly header: AnswerHeader;
  /** What of the prompt was remembered, and its length, as they are known when the answer begins. */
  readonly prompt?: PromptTokens;
}

export interface PromptTokens {
  readonly tokens: number;
  readonly cached: number;
}

/** Where a prompt's tokens were not counted when the answer began. */
const notCounted: PromptTokens = { tokens: 0, cached: 0 };

/** For one reading of a stream from its first entry. */
export function messageFormat({ header: { id, model }, prompt = notCounted }: MessageFormatOptions): AnswerFormat {
  let blocks = 0;
  /** The kind of the last block, until it is closed. */
  let open: "text" | "call" | undefined;
  let reason: ChoiceFinish = "length";
  let stop: string | null = null;

  const message = (content: readonly object[], ending: object, usage: object) => ({
    ...{ id, type: "message", role: "assistant", model, content },
    ...ending,
    ...{ container: null, diagnostics: null, usage },
  });
  const ofBlock = (type: string, fields: object) => event(type, { index: blocks - 1, ...fields });
  const closed = (): FormatEvent[] => {
    if (open === undefined) return [];
    open = undefined;
    return [ofBlock("content_block_stop", {})];
  };
  const begun = (kind: "text" | "call", block: object): FormatEvent[] => {
    const before = closed();
    open = kind;
    blocks += 1;
    return [...before, ofBlock("content_block_start", { content_block: block })];
  };
  const failed = (failure: ServiceFailure): object => messagesErrorBody(failure, id.replace(/^msg_/, ""));

  return {
    numbers: "entries",
    opening: () => [event("message_start", { message: message([], endingOf(null, null), usageOf(prompt, 0)) }), event("ping", {})],
    delta: ({ content }: Delta) => {
      const more = (delta: object) => ofBlock("content_block_delta", { delta });
      if (content.kind === "call") {
        const { begun: named, arguments: json } = content;
        const start = named === undefined ? [] : begun("call", callBlock(named, {}));
        return json === "" ? start : [...start, more({ type: "input_json_delta", partial_json: json })];
      }
      const { text } = content;
      if (text === "") return [];
      const start = open === "text" ? [] : begun("text", textBlock(""));
      return [...start, more({ type: "text_delta", text })];
    },
    closing: (_index, why, matched) => {
      reason = why;
      stop = matched ?? null;
      return closed();
    },
    done: (usage) => [
      event("message_delta", {
        delta: { ...endingOf(reason, stop), container: null },
        usage: deltaUsageOf(usage),
      }),
      event("message_stop", {}),
    ],
    broken: (failure) => ({ name: "error", data: failed(failure) }),
    errorBody: failed,
    whole: ([choice], usage) => {
      const { text = "", calls = [], reason: why = "length", stop: matched = null } = choice ?? {};
      const content = [...(text === "" ? [] : [textBlock(text)]), ...calls.flatMap(wholeCall)];
      return message(content, endingOf(why, matched), usageOf(promptOf(usage), usage.completion_tokens));
    },
  };
}

const event = (type: string, fields: object): FormatEvent => ({ name: type, data: { type, ...fields } });

const textBlock = (text: string) => ({ type: "text", text, citations: null });

const callBlock = ({ id, name }: Pick<FunctionCall, "id" | "name">, input: unknown) => ({
  ...{ type: "tool_use", id, name, input, caller: { type: "direct" } },
});

/** A call that the answer's length has cut off is none: `input` has no place for half an object. */
function wholeCall(call: FunctionCall): object[] {
  try {
    return [callBlock(call, parseExact(call.arguments))];
  } catch {
    return [];
  }
}

function endingOf(reason: ChoiceFinish | null, stop: string | null): object {
  return {
    stop_reason: reason === null ? null : stop === null ? reasons[reason] : "stop_sequence",
    stop_sequence: stop,
    stop_details: null,
  };
}

const reasons: Readonly<Record<ChoiceFinish, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  content_filter: "refusal",
};

const promptOf = ({ prompt_tokens: tokens, prompt_tokens_details: { cached_tokens: cached } }: AnswerUsage): PromptTokens => ({
  tokens,
  cached,
});

/** Tokens are counted once: those that were remembered are not among `input_tokens`. What is kept of a prompt costs nobody more. */
function counted({ tokens, cached }: PromptTokens, output: number): object {
  return {
    ...{ input_tokens: tokens - cached, cache_creation_input_tokens: 0, cache_read_input_tokens: cached, output_tokens: output },
    ...{ output_tokens_details: null, server_tool_use: null },
  };
}

const usageOf = (prompt: PromptTokens, output: number): object => ({
  ...counted(prompt, output),
  ...{ cache_creation: null, inference_geo: null, service_tier: "standard", speed: null },
});

const deltaUsageOf = (usage: AnswerUsage): object => counted(promptOf(usage), usage.completion_tokens);
