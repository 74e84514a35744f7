/** Reads a Hugging Face `tokenizer.json`. What it asks for beyond the served families is refused, never ignored. */
import type { AddedToken } from "./added-tokens.ts";
import { bytesToAlphabet } from "./byte-alphabet.ts";
import { modelInvalid } from "./failures.ts";
import { normalizeFormC } from "./normalization-form-c.ts";
import { type Family, supportedFamilies } from "./pre-tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** What `tokenizer.json` leaves to `tokenizer_config.json`. */
export interface HuggingFaceSettings {
  readonly bosToken?: string;
  readonly eosTokens?: readonly string[];
  readonly addBosToken?: boolean;
}

/** Of `tokenizer.json`, the parts that are read. */
export interface HuggingFaceFile {
  readonly normalizer?: Readonly<Record<string, unknown>> | null;
  readonly pre_tokenizer?: Readonly<Record<string, unknown>> | null;
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
    readonly normalized: boolean;
    readonly single_word?: boolean;
    readonly lstrip?: boolean;
    readonly rstrip?: boolean;
  }[];
  readonly model: {
    readonly type?: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
    readonly dropout?: number | null;
    readonly unk_token?: string | null;
    readonly continuing_subword_prefix?: string | null;
    readonly end_of_word_suffix?: string | null;
    readonly byte_fallback?: boolean;
    readonly ignore_merges?: boolean;
  };
}

const QWEN2_EXPRESSION =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Ids beyond this are a lie: the largest served vocabulary has 152,064. */
const LARGEST_VOCABULARY = 1 << 20;

export function vocabularyFromHuggingFace(file: HuggingFaceFile, settings: HuggingFaceSettings = {}): Vocabulary {
  const { model } = file;
  checkModel(model);
  const family = familyOf(file);
  const tokens: (string | undefined)[] = [];
  const idOfToken = new Map(Object.entries(model.vocab));
  for (const [token, id] of idOfToken) tokens[checkedId(id, token)] = token;
  const addedTokens: AddedToken[] = [];
  const normalizedAddedTokens: AddedToken[] = [];
  for (const { id, content, special, normalized, ...flags } of file.added_tokens ?? []) {
    for (const flag of ["single_word", "lstrip", "rstrip"] as const) {
      if (flags[flag]) throw modelInvalid(`tokenizer.json: added token ${JSON.stringify(content)} has ${flag} true; only false is served`);
    }
    const text = normalized && family === "qwen2" ? normalizeFormC(content) : content;
    tokens[checkedId(id, content)] = text;
    idOfToken.set(content, id);
    (normalized ? normalizedAddedTokens : addedTokens).push({ id, content: text, special });
  }
  const idOf = (token: string): number => {
    const id = idOfToken.get(token);
    if (id === undefined) throw modelInvalid(`tokenizer.json has no token ${JSON.stringify(token)}, which its settings name`);
    return id;
  };
  return {
    family,
    tokens: Array.from(tokens),
    merges: model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
    ignoreMerges: model.ignore_merges ?? false,
    addedTokens,
    normalizedAddedTokens,
    bosTokenId: settings.bosToken === undefined ? null : idOf(settings.bosToken),
    eosTokenIds: (settings.eosTokens ?? []).map(idOf),
    addBosToken: settings.addBosToken ?? false,
  };
}

function checkModel(model: HuggingFaceFile["model"]): void {
  if ((model.type ?? "BPE") !== "BPE")
    throw modelInvalid(`tokenizer.json: model.type is ${JSON.stringify(model.type)}; only "BPE" is served`);
  for (const field of ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"] as const) {
    if (model[field]) throw modelInvalid(`tokenizer.json: model.${field} is ${JSON.stringify(model[field])}; it must be absent or empty`);
  }
  const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const lacksByte = Array.from(bytesToAlphabet(everyByte)).some((character) => !Object.hasOwn(model.vocab, character));
  if (model.unk_token && lacksByte) {
    throw modelInvalid(`tokenizer.json: model.unk_token is ${JSON.stringify(model.unk_token)} and the vocabulary lacks a byte`);
  }
}

function checkedId(id: number, token: string): number {
  if (Number.isInteger(id) && id >= 0 && id < LARGEST_VOCABULARY) return id;
  throw modelInvalid(
    `tokenizer.json: token ${JSON.stringify(token)} has id ${String(id)}; ids are whole numbers below ${String(LARGEST_VOCABULARY)}`,
  );
}

function familyOf({ normalizer, pre_tokenizer: preTokenizer }: HuggingFaceFile): Family {
  const steps =
    preTokenizer?.type === "Sequence" ? (preTokenizer.pretokenizers as readonly Record<string, unknown>[]) : [preTokenizer ?? {}];
  const shape = JSON.stringify([normalizerName(normalizer), ...steps.map(stepName)]);
  for (const family of supportedFamilies) if (shape === JSON.stringify(shapes[family])) return family;
  throw modelInvalid(`tokenizer.json: normalizer and pre_tokenizer are ${shape}; supported are those of ${supportedFamilies.join(", ")}`);
}

const shapes: Readonly<Record<Family, readonly string[]>> = {
  "gpt-2": ["none", "ByteLevel with expression"],
  smollm: ["none", "Digits one by one", "ByteLevel with expression"],
  qwen2: ["NFC", "Split by Qwen2's expression", "ByteLevel"],
};

function normalizerName(normalizer: HuggingFaceFile["normalizer"]): string {
  return normalizer ? String(normalizer.type) : "none";
}

function stepName(step: Readonly<Record<string, unknown>>): string {
  const pattern = step.pattern as { readonly Regex?: string } | undefined;
  if (step.type === "ByteLevel" && step.add_prefix_space === false)
    return step.use_regex === false ? "ByteLevel" : "ByteLevel with expression";
  if (step.type === "Digits" && step.individual_digits === true) return "Digits one by one";
  if (step.type === "Split" && step.behavior === "Isolated" && step.invert === false && pattern?.Regex === QWEN2_EXPRESSION) {
    return "Split by Qwen2's expression";
  }
  return JSON.stringify(step);
}
