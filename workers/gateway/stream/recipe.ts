/** What turns a stream's entries into an answer's bytes: written down with the stream, so that a client that comes back gets the same bytes. */
import { parseExact } from "../../encoding/exact-json.ts";
import type { SpikingMode } from "../../contracts/spikes.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { streamUnreadable } from "../failures.ts";
import { chatFormat } from "./formats/chat.ts";
import { completionFormat } from "./formats/completion.ts";
import type { AnswerFormat, AnswerHeader } from "./formats/format.ts";
import { messageFormat, type PromptTokens } from "./formats/message.ts";
import { responseFormat } from "./formats/response.ts";
import type { ResponseSettings } from "./formats/response-object.ts";
import type { PromptLogprobs } from "./token-report.ts";

/** Raised when what is written down changes so that an older or newer gateway would read it wrongly. */
export const recipeVersion = 3;
/** Those that are read: 1 had no responses, 2 no messages and no calls of functions. Streams are kept for minutes, responses for a month. */
const readVersions: readonly unknown[] = [1, 2, recipeVersion];

export interface AnswerRecipe {
  readonly version: 1 | 2 | typeof recipeVersion;
  readonly endpoint: "chat" | "completion" | "response" | "message";
  readonly header: AnswerHeader;
  readonly topLogprobs: number | null;
  readonly includeUsage: boolean;
  /** In order of their index. */
  readonly choices: readonly RecipeChoice[];
  /** The model's mode where the answer reports its spikes. */
  readonly spikes: SpikingMode | null;
  readonly state: boolean;
  /** Whether the answer says the ids of its tokens, and those of its prompt; not where it is left out. */
  readonly tokenIds?: boolean;
  readonly promptLogprobs?: PromptLogprobs;
  /** Whether functions may be called in its choices; not where it is left out. */
  readonly calls?: boolean;
  /** Where another model answers than the one whose id was asked for; left out elsewhere. */
  readonly other?: { readonly asked: string; readonly why: readonly string[] };
  /** Of a response: what its object repeats of the request. */
  readonly response?: ResponseSettings;
  /** Of a message: its prompt's tokens. How many of them were remembered is known once it has begun: it is not written down. */
  readonly prompt?: PromptTokens;
  /** The number of its turn, which is known once it has begun: it is not written down. */
  readonly turn?: number;
}

export interface RecipeChoice {
  readonly index: number;
  readonly promptIndex: number;
}

/** A stream's recipe as it was written down. @throws ServiceError where another version of the gateway wrote it. */
export function readRecipe(text: string): AnswerRecipe {
  const recipe = parseExact(text) as AnswerRecipe | { readonly version?: unknown };
  if (readVersions.includes(recipe.version)) return recipe as AnswerRecipe;
  throw streamUnreadable(`Its form is ${JSON.stringify(recipe.version ?? null)}; this server reads ${readVersions.join(", ")}.`);
}

export function formatOf({ endpoint, version: _version, ...recipe }: AnswerRecipe, tokenizer: Tokenizer): AnswerFormat {
  switch (endpoint) {
    case "chat":
      return chatFormat({ ...recipe, tokenizer });
    case "completion":
      return completionFormat({ ...recipe, tokenizer });
    case "response":
      return responseFormat({ ...recipe, tokenizer });
    case "message":
      return messageFormat(recipe);
  }
}
