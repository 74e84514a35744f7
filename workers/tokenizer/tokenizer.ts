/** Text to token ids and back, token for token as Hugging Face `tokenizers`. Immutable once built: one instance may serve every tenant. */
import type { TokenizerFile } from "../contracts/model-files.ts";
import { type AddedToken, AddedTokenFinder } from "./added-tokens.ts";
import { alphabetToBytes, bytesToAlphabet, tokensOfBytes } from "./byte-alphabet.ts";
import { BytePairMerger } from "./byte-pair-merger.ts";
import { invalidRequest, modelInvalid } from "./failures.ts";
import { vocabularyFromTokenizerFile } from "./gguf-vocabulary.ts";
import { GrowingArray } from "./growing-array.ts";
import type { JsonObject } from "./hugging-face-checks.ts";
import { vocabularyFromHuggingFace } from "./hugging-face-vocabulary.ts";
import { buildMergeTable } from "./merge-table.ts";
import { normalizeFormC } from "./normalization-form-c.ts";
import { type Family, type WordSplitter, wordSplitter } from "./pre-tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

export interface DecodeOptions {
  /** Leave control tokens out. */
  readonly skipSpecial?: boolean;
}

const encoder = new TextEncoder();

export class Tokenizer {
  readonly family: Family;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** Whether the model expects the beginning-of-sequence token before a text that no chat template made. No method here adds it. */
  readonly addBosToken: boolean;
  readonly otherTokens: Vocabulary["otherTokens"];
  readonly specialTokens: readonly AddedToken[];
  readonly #tokens: readonly (string | undefined)[];
  readonly #specialIds: ReadonlySet<number>;
  readonly #added: AddedTokenFinder;
  readonly #normalizedAdded: AddedTokenFinder;
  readonly #special: AddedTokenFinder;
  readonly #merger: BytePairMerger;
  readonly #splitWords: WordSplitter;
  /** Only for vocabularies that ignore merges. */
  readonly #wholeWords: ReadonlyMap<string, number> | undefined;

  static fromTokenizerFile(file: TokenizerFile): Tokenizer {
    return new Tokenizer(vocabularyFromTokenizerFile(file));
  }

  /** @param settings is `tokenizer_config.json`. */
  static fromHuggingFace(file: JsonObject, settings?: JsonObject): Tokenizer {
    return new Tokenizer(vocabularyFromHuggingFace(file, settings));
  }

  constructor(vocabulary: Vocabulary) {
    const { tokens } = vocabulary;
    const added = [...vocabulary.addedTokens, ...vocabulary.normalizedAddedTokens];
    this.family = vocabulary.family;
    this.bosTokenId = vocabulary.bosTokenId;
    this.eosTokenIds = vocabulary.eosTokenIds;
    this.addBosToken = vocabulary.addBosToken;
    this.otherTokens = vocabulary.otherTokens;
    this.specialTokens = added.filter((token) => token.special);
    this.#tokens = tokens;
    this.#specialIds = new Set(this.specialTokens.map((token) => token.id));
    const idOfToken = ordinaryIds(tokens, this.#specialIds);
    this.#added = new AddedTokenFinder(vocabulary.addedTokens);
    this.#normalizedAdded = new AddedTokenFinder(vocabulary.normalizedAddedTokens);
    this.#special = new AddedTokenFinder(this.specialTokens);
    this.#merger = new BytePairMerger(buildMergeTable(vocabulary.merges, idOfToken), tokensOfBytes(idOfToken));
    this.#splitWords = wordSplitter(vocabulary.family);
    this.#wholeWords = vocabulary.ignoreMerges ? idOfToken : undefined;
    for (const id of [this.bosTokenId ?? this.eosTokenIds[0] ?? 0, ...this.eosTokenIds]) {
      if (tokens[id] === undefined)
        throw modelInvalid(`tokenizer: special token id ${String(id)} is not in the vocabulary of ${String(tokens.length)}`);
    }
  }

  get vocabularySize(): number {
    return this.#tokens.length;
  }

  /** Control tokens spelled out in the text are ordinary text. */
  encode(text: string): Uint32Array {
    const output = outputFor(text);
    this.#encodeInto(text.toWellFormed(), false, output);
    return output.copy();
  }

  /** Control tokens spelled out in the text become control tokens. Never for text of a user's. */
  encodeWithSpecial(text: string): Uint32Array {
    const output = outputFor(text);
    this.#encodeInto(text.toWellFormed(), true, output);
    return output.copy();
  }

  /** As {@link encodeWithSpecial}, but what the guard interrupts is ordinary text, and the guard itself vanishes. */
  encodeGuarded(text: string, guard: string): Uint32Array {
    const output = outputFor(text);
    const wellFormed = text.toWellFormed();
    let start = 0;
    for (let match = this.#special.next(wellFormed, 0); match; match = this.#special.next(wellFormed, start)) {
      this.#encodeInto(wellFormed.slice(start, match.start).replaceAll(guard, ""), false, output);
      output.push(match.token.id);
      start = match.end;
    }
    this.#encodeInto(wellFormed.slice(start).replaceAll(guard, ""), false, output);
    return output.copy();
  }

  decode(ids: Iterable<number>, { skipSpecial = false }: DecodeOptions = {}): string {
    const parts: Uint8Array[] = [];
    for (const id of ids) {
      const bytes = this.tokenBytes(id);
      if (!(skipSpecial && this.isSpecial(id))) parts.push(bytes);
    }
    return decodeBytes(parts);
  }

  /** The bytes a token stands for, which may be part of a character. */
  tokenBytes(id: number): Uint8Array {
    const token = this.#tokens[id];
    if (token === undefined) throw invalidRequest(`token id ${String(id)} is not in the vocabulary of ${String(this.#tokens.length)}`);
    return alphabetToBytes(token);
  }

  /** A token on its own as text; bytes that are no whole character become U+FFFD. */
  tokenText(id: number): string {
    return decodeBytes([this.tokenBytes(id)]);
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  specialTokenId(content: string): number | undefined {
    return this.specialTokens.find((token) => token.content === content)?.id;
  }

  #encodeInto(text: string, withSpecial: boolean, output: GrowingArray): void {
    splitAround(this.#added, text, withSpecial, output, (split) => {
      const normalized = this.family === "qwen2" ? normalizeFormC(split) : split;
      splitAround(this.#normalizedAdded, normalized, withSpecial, output, (rest) => {
        this.#encodeSplit(rest, output);
      });
    });
  }

  #encodeSplit(text: string, output: GrowingArray): void {
    const bytes = encoder.encode(text);
    this.#splitWords(bytes, (start, end) => {
      const whole = this.#wholeWords?.get(bytesToAlphabet(bytes.subarray(start, end)));
      if (whole === undefined) this.#merger.append(bytes, start, end, output);
      else output.push(whole);
    });
  }
}

/** Visits the splits of a text, which are what lies between added tokens, and puts out the ids of these. */
function splitAround(
  finder: AddedTokenFinder,
  text: string,
  withSpecial: boolean,
  output: GrowingArray,
  visit: (split: string) => void,
): void {
  let start = 0;
  for (let match = finder.next(text, 0); match; match = finder.next(text, match.end)) {
    if (match.token.special && !withSpecial) continue;
    if (match.start > start) visit(text.slice(start, match.start));
    output.push(match.token.id);
    start = match.end;
  }
  if (start < text.length) visit(text.slice(start));
}

/** Without special tokens, so that neither a byte, a merge nor a whole word of plain text can become one. */
function ordinaryIds(tokens: readonly (string | undefined)[], specialIds: ReadonlySet<number>): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id];
    if (token !== undefined && !specialIds.has(id)) ids.set(token, id);
  }
  return ids;
}

/** Room for typical text at once: about four characters a token. */
function outputFor(text: string): GrowingArray {
  return new GrowingArray((text.length >> 2) + 16);
}

function decodeBytes(parts: readonly Uint8Array[]): string {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  // A leading U+FEFF is text like any other.
  return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
}
