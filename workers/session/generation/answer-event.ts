/** What generating a choice brings, however many attempts it takes. */
import type { GenerateEvent, TokenUsage } from "../../contracts/engine.ts";

/** What an answer is made of; states are not. */
export type AnswerEvent = Extract<GenerateEvent, { readonly type: "read" | "prompt" | "token" | "finish" }>;

/** What is known of the text before the answer. */
export type PromptUsage = Pick<TokenUsage, "promptTokens" | "cachedTokens">;
