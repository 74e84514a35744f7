import { useEffect, useState } from "preact/hooks";
import { chatMessages } from "../api/chat-request.ts";
import { countTokens } from "../api/model.ts";
import { answersHere, answerTokens, contextTokens, currentConversation, currentSettings, isRunning } from "../state/selectors.ts";
import type { Message } from "../state/types.ts";
import { useApp } from "./context.ts";
import { formatCount } from "./format.ts";
import { MemoryMeter } from "./memory-meter.tsx";
import { SessionPlace } from "./session-place.tsx";

/** Above this share there is hardly room for another turn. */
const nearlyFull = 0.85;

/** How much of the model's context the next request takes, or the running one has taken; and what that costs, where it has no end. */
export function ContextMeter({ draft }: { readonly draft: string }) {
  const { state } = useApp();
  const counted = usePromptTokens(draft);
  const limit = state.model?.contextLength ?? null;
  const last = currentConversation(state)?.messages.at(-1);
  const used = usedTokens(last, counted, isRunning(currentConversation(state))) ?? currentConversation(state)?.facts?.tokens ?? null;
  if (state.model?.state?.constant === true) return <MemoryMeter used={used} model={state.model.state} />;
  return limit === null || used === null ? <div class="meter" /> : <LimitMeter used={used} limit={limit} />;
}

function LimitMeter({ used, limit }: { readonly used: number; readonly limit: number }) {
  const { texts } = useApp();
  const share = Math.min(1, used / limit);
  const level = used >= limit ? "full" : share > nearlyFull ? "high" : "normal";
  const words = texts.contextUse(formatCount(used, texts.code), formatCount(limit, texts.code));
  return (
    <div class="meter" data-level={level}>
      <span
        class="meter-bar"
        role="meter"
        aria-label={texts.context}
        aria-valuemin={0}
        aria-valuemax={limit}
        aria-valuenow={Math.min(used, limit)}
        aria-valuetext={words}
      >
        <span class="meter-fill" style={{ width: `${share * 100}%` }} />
      </span>
      <span class="meter-text">{words}</span>
      <SessionPlace />
      {level === "normal" ? null : (
        <span class="meter-advice" role="status">
          {level === "full" ? texts.contextFull : texts.contextNearlyFull}
        </span>
      )}
    </div>
  );
}

function usedTokens(last: Message | undefined, counted: number | null, running: boolean): number | null {
  if (last?.role !== "assistant") return counted;
  if (!running) return counted ?? contextTokens(last);
  if (last.measure.state !== undefined) return last.measure.state.tokens;
  return contextTokens(last) ?? (counted === null ? null : counted + answerTokens(last.measure));
}

/** Typing should not send a request per key. */
const countDelayMs = 500;

const nothingCounted = { of: undefined, count: null };

/** Tokens of the conversation with the draft, by the server's own count; keeps the last count while an answer is written. */
function usePromptTokens(draft: string): number | null {
  const { state } = useApp();
  const conversation = currentConversation(state);
  const { system } = currentSettings(state);
  const model = state.model?.id;
  const messages = conversation?.messages;
  const running = isRunning(conversation);
  const here = answersHere(state);
  const [counted, setCounted] = useState<{ readonly of: string | undefined; readonly count: number | null }>(nothingCounted);
  const setCount = (count: number | null) => setCounted({ of: conversation?.id, count });
  useEffect(() => {
    // What is said about a document comes after all of it, which only the server has.
    // What is written on this device goes to no server, not even to be counted.
    if (model === undefined || running || here || conversation?.document !== undefined) return undefined;
    const turns = draft.trim() === "" ? (messages ?? []) : [...(messages ?? []), { role: "user" as const, text: draft }];
    if (turns.length === 0) {
      setCount(null);
      return undefined;
    }
    const controller = new AbortController();
    const timer = setTimeout(() => {
      // Without a count the meter shows what the last answer's usage said.
      countTokens(model, chatMessages(system, turns), controller.signal).then(setCount, () => controller.signal.aborted || setCount(null));
    }, countDelayMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [model, messages, system, draft, running, here, conversation?.document]);
  return counted.of === conversation?.id ? counted.count : null;
}
