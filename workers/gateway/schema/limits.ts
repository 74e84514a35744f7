/** Bounds on what one request may ask for. Each keeps the work or memory of a single request small against a 128 MB isolate. */

/** Whole body. */
export const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
/** Choices for each prompt. */
export const CHOICES_LIMIT = 8;
/** Generations that one request fans out to: prompts times choices. */
export const GENERATIONS_LIMIT = 32;
/** Prompt tokens of all those generations: each crosses to the engine with a prompt of its own. */
export const GENERATIONS_TOKENS_LIMIT = 262_144;
/** Longest answer where the client names no length and the model's context would leave more: a small model may never stop by itself. */
export const DEFAULT_COMPLETION_TOKENS = 2048;
/** Chat messages; with the limit on parts it bounds how many issues validation can report. */
export const MESSAGES_LIMIT = 1024;
export const PARTS_LIMIT = 64;
/** Stop strings, and UTF-16 units in each: held back text is at most one stop string long. */
export const STOPS_LIMIT = 16;
export const STOP_LENGTH_LIMIT = 256;
export const STOP_TOKENS_LIMIT = 64;
export const LOGIT_BIAS_LIMIT = 1024;
/** Alternatives beside a token. */
export const TOP_LOGPROBS_LIMIT = 20;
