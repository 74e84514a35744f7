/** What turns a stream's entries into an answer's bytes: written down with the stream, so that a client that comes back gets the same bytes. */
import type { SpikingMode } from "../../contracts/spikes.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { chatFormat } from "./formats/chat.ts";
import { completionFormat } from "./formats/completion.ts";
import type { AnswerFormat, AnswerHeader } from "./formats/format.ts";

export interface AnswerRecipe {
  readonly endpoint: "chat" | "completion";
  readonly header: AnswerHeader;
  readonly topLogprobs: number | null;
  readonly includeUsage: boolean;
  /** In order of their index. */
  readonly choices: readonly RecipeChoice[];
  /** The model's mode where the answer reports its spikes. */
  readonly spikes: SpikingMode | null;
  readonly state: boolean;
}

export interface RecipeChoice {
  readonly index: number;
  readonly promptIndex: number;
}

export function formatOf({ endpoint, ...recipe }: AnswerRecipe, tokenizer: Tokenizer): AnswerFormat {
  return endpoint === "chat" ? chatFormat({ ...recipe, tokenizer }) : completionFormat({ ...recipe, tokenizer });
}
