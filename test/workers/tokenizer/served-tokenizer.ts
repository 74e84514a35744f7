/** The tokenizers that set-up prepared. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "../../../infra/local/paths.ts";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";

const prepared = (file: string): string => fileURLToPath(new URL(`../../../dist/models/${file}`, import.meta.url));

export const servedTokenizerPath = prepared("model/tokenizer.json");

export const servedTokenizerFile = (): TokenizerFile => read(servedTokenizerPath);

/** Of `infra/models/tokenizers`. */
export const preparedTokenizerFile = (id: string): TokenizerFile => read(prepared(`tokenizers/${id}.json`));

/** The `tokenizer.json` that it was prepared from. */
export const publishedTokenizerPath = (id: string): string => join(cacheDirectory(), `${id}.tokenizer.json`);

function read(path: string): TokenizerFile {
  if (!existsSync(path)) throw new Error(`There is no ${path}. Run \`npm run setup:model -- --all\`.`);
  return JSON.parse(readFileSync(path, "utf8")) as TokenizerFile;
}
