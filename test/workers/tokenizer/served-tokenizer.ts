/** The tokenizer of the model that set-up prepared. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";

export const servedTokenizerPath = fileURLToPath(new URL("../../../dist/gateway/model/tokenizer.json", import.meta.url));

export function servedTokenizerFile(): TokenizerFile {
  if (!existsSync(servedTokenizerPath)) throw new Error(`There is no ${servedTokenizerPath}. Run \`npm run setup:model\`.`);
  return JSON.parse(readFileSync(servedTokenizerPath, "utf8")) as TokenizerFile;
}
