/** Reads a Hugging Face `tokenizer.json`. What it asks for beyond the served families is refused, never ignored. */
import type { AddedToken } from "./added-tokens.ts";
import { bytesToAlphabet } from "./byte-alphabet.ts";
import { modelInvalid } from "./failures.ts";
import {
  anything,
  blank,
  checkFields,
  empty,
  exactly,
  flag,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  off,
  type Rule,
  wrong,
  zero,
} from "./hugging-face-checks.ts";
import { checkDecoder, familyOf, tokensBefore } from "./hugging-face-components.ts";
import { readSettings } from "./hugging-face-settings.ts";
import { normalizeFormC } from "./normalization-form-c.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Ids beyond this are a lie: the largest served vocabulary has 152,064. */
const largestVocabulary = 1 << 20;

const fileRules: Readonly<Record<string, Rule>> = {
  version: { says: 'be "1.0"', holds: (value) => value === undefined || value === "1.0" },
  truncation: empty,
  padding: empty,
  added_tokens: anything,
  normalizer: anything,
  pre_tokenizer: anything,
  post_processor: anything,
  decoder: anything,
  model: anything,
};

/** `fuse_unk` matters only beside an unknown token, which is refused unless it can't occur. */
const modelRules: Readonly<Record<string, Rule>> = {
  type: { says: 'be "BPE"', holds: (value) => value === undefined || exactly("BPE").holds(value) },
  dropout: zero,
  unk_token: anything,
  continuing_subword_prefix: blank,
  end_of_word_suffix: blank,
  fuse_unk: flag,
  byte_fallback: off,
  ignore_merges: flag,
  vocab: anything,
  merges: anything,
};

const addedTokenRules: Readonly<Record<string, Rule>> = {
  id: anything,
  content: { says: "be a text", holds: (value) => typeof value === "string" && value !== "" },
  single_word: off,
  lstrip: off,
  rstrip: off,
  normalized: flag,
  special: flag,
};

/** @param settings is the folder's `tokenizer_config.json`. */
export function vocabularyFromHuggingFace(file: JsonObject, settings: JsonObject = {}): Vocabulary {
  checkFields("tokenizer.json: ", file, fileRules);
  const { bosToken, eosToken, otherTokens, addBosToken } = readSettings(settings);
  const model = objectAt("tokenizer.json: model", file.model);
  checkFields("tokenizer.json: model", model, modelRules);
  const ids = checkedIds(model);
  checkUnknownToken(model, ids);
  const family = familyOf(file.normalizer, file.pre_tokenizer);
  checkDecoder(file.decoder);
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of ids) tokens[id] = token;
  const addedTokens: AddedToken[] = [];
  const normalizedAddedTokens: AddedToken[] = [];
  let next = ids.size;
  for (const entry of listAt("tokenizer.json: added_tokens", file.added_tokens ?? [])) {
    const { id, content, special, normalized } = addedToken(entry, ids, next);
    next = Math.max(next, id + 1);
    const text = normalized && family === "qwen2" ? normalizeFormC(content) : content;
    tokens[id] = text;
    ids.set(content, id);
    (normalized ? normalizedAddedTokens : addedTokens).push({ id, content: text, special });
  }
  const named = (role: string, content: string | undefined): number | null => {
    if (content === undefined) return null;
    const id = ids.get(content);
    if (id === undefined) throw wrong(`tokenizer_config.json: ${role}`, "be in the vocabulary", content);
    return id;
  };
  const bos = named("bos_token", bosToken);
  const eos = named("eos_token", eosToken);
  const first = firstToken(tokensBefore(file.post_processor), bos, addBosToken, tokens.length);
  return {
    family,
    tokens: Array.from(tokens),
    merges: listAt("tokenizer.json: model.merges", model.merges).map(mergeOf),
    ignoreMerges: model.ignore_merges === true,
    addedTokens,
    normalizedAddedTokens,
    bosTokenId: first ?? bos,
    eosTokenIds: eos === null ? [] : [eos],
    addBosToken: first !== null,
    otherTokens,
  };
}

/** The id of the token before a text, by the post-processor and the settings, which must not contradict each other. */
function firstToken(before: readonly number[], bos: number | null, addBos: boolean | undefined, size: number): number | null {
  const [first] = before;
  if (first === undefined) {
    if (addBos !== true) return null;
    if (bos === null) throw wrong("tokenizer_config.json: add_bos_token", "be false where there is no bos_token", true);
    return bos;
  }
  const path = "tokenizer.json: post_processor";
  if (addBos === false) throw wrong(path, "put no token before a text where add_bos_token is false", before);
  if (first < 0 || first >= size) throw wrong(path, "put a token of the vocabulary before a text", before);
  if (bos !== null && bos !== first) throw wrong(path, `put bos_token, ${String(bos)}, before a text`, before);
  return first;
}

function checkedIds(model: JsonObject): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(objectAt("tokenizer.json: model.vocab", model.vocab))) ids.set(token, checkedId(id, token));
  return ids;
}

function checkedId(id: unknown, token: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < largestVocabulary) return id;
  throw modelInvalid(
    `tokenizer.json: token ${JSON.stringify(token)} has id ${JSON.stringify(id)}; ids are whole numbers below ${String(largestVocabulary)}`,
  );
}

function checkUnknownToken(model: JsonObject, ids: ReadonlyMap<string, number>): void {
  const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  if (blank.holds(model.unk_token) || Array.from(bytesToAlphabet(everyByte)).every((character) => ids.has(character))) return;
  throw wrong("tokenizer.json: model.unk_token", "be null where the vocabulary lacks a byte", model.unk_token);
}

/** `tokenizers` gives an added token its id in the vocabulary or else the next one, whatever the file says. */
function addedToken(entry: unknown, ids: ReadonlyMap<string, number>, next: number) {
  const content = isObject(entry) ? entry.content : undefined;
  const path = `tokenizer.json: added token ${JSON.stringify(content ?? null)}`;
  const object = objectAt(path, entry);
  checkFields(path, object, addedTokenRules);
  const text = String(content);
  const id = checkedId(object.id, text);
  const given = ids.get(text) ?? next;
  if (id !== given) throw wrong(`${path}.id`, `be ${String(given)}, which tokenizers gives it`, id);
  return { id, content: text, special: object.special === true, normalized: object.normalized === true };
}

function mergeOf(merge: unknown): string {
  return Array.isArray(merge) ? merge.join(" ") : String(merge);
}
