/** What the gateway needs from a GGUF's metadata, every field checked: a message names the field, the rule and the value. */
import { open } from "node:fs/promises";
import { gguf } from "@huggingface/gguf";
import type { ModelForm, OtherSpecialToken, SamplingDefaults, TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { MoreNeeded, mostHeaderBytes } from "./cursor.ts";
import { broken, integer, isBoolean, isInteger, isNumber, isText, list, optional, text, type Metadata } from "./fields.ts";
import { samplingDefaults } from "../models/registry.ts";
import { formOf } from "./form.ts";
import { readHeader, type Header } from "./header.ts";

export interface GgufFacts {
  readonly contextLength: number;
  readonly form: ModelForm;
  /** `general.license`; null where the file names none. */
  readonly license: string | null;
  readonly tokenizer: TokenizerFile;
  /** `general.sampling.*`: how the file's makers have its tokens chosen; empty where it does not say. */
  readonly defaults: SamplingDefaults;
}

/** Most headers are shorter; of others more is read. */
const firstBytes = 1 << 22;
const controlTokenType = 3;
/** A chat model may end its turn with any of these, whichever one its metadata calls `eos`. */
const chatMlEnds = ["<|im_end|>", "<|endoftext|>"];

export async function readGgufFacts(path: string): Promise<GgufFacts> {
  // The package that decodes the metadata believes every length; so it is given no file that lies.
  await readGgufHeader(path);
  let metadata: Metadata;
  try {
    metadata = { ...(await gguf(path, { allowLocalFile: true })).metadata };
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return factsOf(metadata);
}

function unreadable(path: string, cause: unknown): Error {
  return new Error(`${path} cannot be read as GGUF: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

/** Of a file of any size, of which no more is read than the header. @throws Error that names the file, and what is wrong with it. */
export async function readGgufHeader(path: string): Promise<Header> {
  const file = await open(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const { size } = await file.stat();
    for (let length = firstBytes; ; length *= 4) {
      const first = Buffer.alloc(Math.min(length, size, mostHeaderBytes));
      await file.read(first, 0, first.length, 0);
      try {
        return readHeader(first, size);
      } catch (cause) {
        if (!(cause instanceof MoreNeeded)) throw unreadable(path, cause);
      }
    }
  } finally {
    await file.close();
  }
}

export function factsOf(metadata: Metadata): GgufFacts {
  const architecture = text(metadata, "general.architecture");
  const contextLength = integer(metadata, `${architecture}.context_length`);
  if (contextLength < 1) throw broken(`${architecture}.context_length`, "must be at least 1", contextLength);
  const license = optional(metadata, "general.license", isText, "a string") ?? null;
  return { contextLength, form: formOf(metadata, architecture), license, tokenizer: tokenizerOf(metadata), defaults: defaultsOf(metadata) };
}

/** GGUF's names for a request's fields. What a request could not ask for, no file may make the default. */
const samplingKeys: Readonly<Record<keyof SamplingDefaults, string>> = {
  temperature: "temp",
  top_p: "top_p",
  top_k: "top_k",
  min_p: "min_p",
  repetition_penalty: "penalty_repeat",
};

/** Files have 32-bit floats: 0.7 is meant, not 0.699999988079071. */
const floatDigits = 7;

function defaultsOf(metadata: Metadata): SamplingDefaults {
  const given = Object.entries(samplingKeys).flatMap(([field, name]) => {
    const key = `general.sampling.${name}`;
    const value = optional(metadata, key, isNumber, "a number");
    if (value === undefined) return [];
    const meant = Number(value.toPrecision(floatDigits));
    const result = samplingDefaults.safeParse({ [field]: meant });
    if (!result.success) throw broken(key, result.error.issues[0]?.message ?? "is not allowed", meant);
    return [[field, meant] as const];
  });
  return Object.fromEntries(given);
}

function tokenizerOf(metadata: Metadata): TokenizerFile {
  const model = text(metadata, "tokenizer.ggml.model");
  if (model !== "gpt2") throw broken("tokenizer.ggml.model", 'must be "gpt2" (byte-level BPE)', model);
  const tokens = list(metadata, "tokenizer.ggml.tokens", isText, "strings");
  if (tokens.length === 0) throw broken("tokenizer.ggml.tokens", "must not be empty", tokens.length);
  const tokenTypes = list(metadata, "tokenizer.ggml.token_type", isInteger, "integers");
  if (tokenTypes.length !== tokens.length) {
    throw broken(
      "tokenizer.ggml.token_type",
      `must have as many entries as tokenizer.ggml.tokens (${String(tokens.length)})`,
      tokenTypes.length,
    );
  }
  for (const key of ["add_eos_token", "add_space_prefix", "remove_extra_whitespaces"].map((name) => `tokenizer.ggml.${name}`))
    if (optional(metadata, key, isBoolean, "a boolean") === true) throw broken(key, "must be absent or false", true);
  const bosTokenId = optionalTokenId(metadata, "tokenizer.ggml.bos_token_id", tokens.length);
  const addBosToken = optional(metadata, "tokenizer.ggml.add_bos_token", isBoolean, "a boolean") ?? false;
  if (addBosToken && bosTokenId === null)
    throw broken("tokenizer.ggml.add_bos_token", "must be false without tokenizer.ggml.bos_token_id", true);
  return {
    model,
    pre: text(metadata, "tokenizer.ggml.pre"),
    tokens,
    tokenTypes,
    merges: list(metadata, "tokenizer.ggml.merges", isText, "strings"),
    bosTokenId,
    eosTokenIds: endsOf(metadata, tokens, tokenTypes),
    addBosToken,
    ...otherTokensOf(metadata, tokens.length),
    chatTemplate: optional(metadata, "tokenizer.chat_template", isText, "a string") ?? null,
  };
}

/** GGUF's names for the roles; its spelling of the separator's is what the format has. */
const otherTokenKeys: Readonly<Record<OtherSpecialToken, string>> = {
  unk_token: "unknown_token_id",
  sep_token: "seperator_token_id",
  pad_token: "padding_token_id",
  cls_token: "cls_token_id",
  mask_token: "mask_token_id",
};

function otherTokensOf(metadata: Metadata, vocabularySize: number): Pick<TokenizerFile, "otherTokenIds"> {
  const named = Object.entries(otherTokenKeys).flatMap(([name, key]) => {
    const id = optionalTokenId(metadata, `tokenizer.ggml.${key}`, vocabularySize);
    return id === null ? [] : [[name, id]];
  });
  return named.length === 0 ? {} : { otherTokenIds: Object.fromEntries(named) as NonNullable<TokenizerFile["otherTokenIds"]> };
}

/** Every id that ends a turn: first what the file names, then for ChatML models both of their end tokens. */
function endsOf(metadata: Metadata, tokens: readonly string[], tokenTypes: readonly number[]): number[] {
  const ends = new Set<number>();
  for (const key of ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]) {
    const id = optionalTokenId(metadata, key, tokens.length);
    if (id !== null) ends.add(id);
  }
  if (tokens.includes("<|im_start|>")) {
    for (const end of chatMlEnds) {
      const id = tokens.indexOf(end);
      if (id >= 0 && tokenTypes[id] === controlTokenType) ends.add(id);
    }
  }
  if (ends.size === 0) throw broken("tokenizer.ggml.eos_token_id", "must be given, or no generation would end", undefined);
  return [...ends];
}

function optionalTokenId(metadata: Metadata, key: string, vocabularySize: number): number | null {
  const id = optional(metadata, key, isInteger, "an integer");
  if (id === undefined) return null;
  if (id < 0 || id >= vocabularySize) throw broken(key, `must be below the vocabulary size ${String(vocabularySize)}`, id);
  return id;
}
