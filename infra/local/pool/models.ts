/** The two models of `npm run pool`: the built-in one, and one of the released 7B's form. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { nameOf, withLock } from "../lock.mjs";
import { readRegistry } from "../models/registry.ts";
import { readTokenizerPins } from "../models/tokenizers.ts";
import { cacheDirectory, inRepository } from "../paths.ts";
import { vllmPython } from "../python/setup-python.ts";
import { capture } from "../run.ts";

export const sevenId = "spikingbrain-7b";
/** Its folder, where somebody has it. */
const sevenVariable = "SPIKINGBRAIN_7B";
const sevenTokenizer = "qwen2.5";
/** Raised when the form of the stand-in changes. */
const standInVersion = 1;

/** Several sequences at once, in what memory a small machine has; whole programs are not compiled, which takes minutes. */
const engine = ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"];

export interface PooledReplica {
  readonly name: string;
  /** The public id. */
  readonly id: string;
  readonly model: string;
  readonly options: readonly string[];
  /** For people. */
  readonly says: string;
}

/** The model that the engine has the weights of. */
export function builtIn(id: string): PooledReplica {
  const own = process.env.SPIKINGBRAIN_MODEL ?? "";
  const model = own === "" || readRegistry().has(own) ? id : resolve(own);
  const options = ["--served-id", id, "--", ...engine, "--max-model-len", "8192"];
  return { name: `${id.replaceAll(/[^\w.-]/g, "-").slice(0, 50)}-vllm`, id, model, options, says: "the engine has its weights too" };
}

/** @throws Error where `SPIKINGBRAIN_7B` names no folder. */
export async function seven(): Promise<PooledReplica> {
  const name = `${sevenId}-vllm`;
  const own = process.env[sevenVariable];
  if (own !== undefined && own !== "") {
    if (!existsSync(join(own, "config.json")))
      throw new Error(`${sevenVariable} must be the 7B's folder, with a config.json; it is "${own}".`);
    const options = ["--served-id", sevenId, "--", "--max-num-seqs", "8", "--max-model-len", "8192"];
    return { name, id: sevenId, model: own, options, says: "the released 7B" };
  }
  const digest = readTokenizerPins().get(sevenTokenizer)?.writtenSha256 ?? "";
  // Its folder has no tokenizer, as a replica needs none; this is whose token ids it takes.
  const options = ["--served-id", sevenId, "--tokenizer-sha256", digest, "--", ...engine, "--max-model-len", "4096"];
  const says = `a stand-in of the 7B's form with random weights: its words mean nothing. ${sevenVariable}=FOLDER serves the real one`;
  return { name, id: sevenId, model: await standIn(), options, says };
}

async function standIn(): Promise<string> {
  const cache = cacheDirectory();
  const folder = join(cache, `${sevenId}-stand-in-${String(standInVersion)}`);
  await withLock(`cache-${nameOf(cache)}`, `writing models into ${cache}`, async () => {
    if (existsSync(folder)) return;
    console.log(`Writing a stand-in for ${sevenId} …`);
    const script = inRepository("infra/local/python/stand_in_model.py");
    const { status, output } = await capture(vllmPython, [script, folder], { env: { PYTHONPATH: inRepository("gpu-backend") } });
    if (status !== 0) throw new Error(`The stand-in for ${sevenId} could not be written:\n${output}`);
  });
  return folder;
}
