/**
 * What the Workers of `spikingbrain serve` read: the model's card and tokenizer beside the web page, and configurations in which the engine Worker
 * is the link to this process. The weights themselves are read by the engine from where they are.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelManifest, TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { defaultConfigurations, engineConfiguration, sessionConfiguration } from "../../local/stack.ts";
import { ensureStateKeys } from "../../local/state-keys.ts";
import { inRepository } from "../../local/paths.ts";
import { readGgufFacts } from "../../local/gguf/metadata.ts";
import { prepareCatalog } from "../../local/models/catalog.ts";
import { manifestOf, writeModelFacts } from "../../local/models/prepare-model.ts";
import type { ModelSource } from "../../local/models/source.ts";
import { buildWebPage } from "../../local/build-web-page.ts";

/** Of one served port, so that several can be served from one checkout. */
export const folderOf = (port: number): string => `dist/serve-${String(port)}`;

/** Writes card and tokenizer into `folder`, of which `sha256` is the weights' digest. */
export async function writeModelCard(
  folder: string,
  source: ModelSource,
  { bytes, sha256 }: Pick<ModelManifest, "bytes" | "sha256">,
): Promise<{ readonly manifest: ModelManifest; readonly tokenizer: TokenizerFile }> {
  const facts = await readGgufFacts(source.path);
  const tokenizer = JSON.stringify(facts.tokenizer);
  const manifest = manifestOf(source, facts, { bytes, sha256, shards: [] }, tokenizer);
  writeModelFacts(inRepository(folder), JSON.stringify(manifest, null, 2), tokenizer);
  await prepareCatalog(inRepository(folder), manifest, { all: false });
  await buildWebPage(join(inRepository(folder), "gateway"));
  return { manifest, tokenizer: facts.tokenizer };
}

/**
 * Configurations for `startStack`: as they are deployed, each in a folder of its own within `folder` as secrets lie beside them, with the engine
 * behind `link`. States are sealed under the secret in `data`, where they lie themselves.
 */
export async function writeConfigurations(folder: string, data: string, link: EngineLink): Promise<string[]> {
  const keys = join(data, "state-keys");
  mkdirSync(data, { recursive: true });
  await ensureStateKeys(keys);
  return defaultConfigurations.map((configuration) => {
    const worker = /^workers\/(\w+)\//.exec(configuration)?.[1] ?? "gateway";
    const directory = `${folder}/workers/${worker}`;
    mkdirSync(inRepository(directory), { recursive: true });
    const write = (name: string, text: string | Buffer) => {
      const path = `${directory}/${name}`;
      // Others on this machine may not read a secret.
      writeFileSync(inRepository(path), text, { mode: 0o600 });
      return path;
    };
    if (configuration === sessionConfiguration) write(".dev.vars", readFileSync(keys));
    const isEngine = configuration === engineConfiguration;
    return write(
      "wrangler.toml",
      isEngine ? linkConfiguration(link) : moved(readFileSync(inRepository(configuration), "utf8"), configuration),
    );
  });
}

export interface EngineLink {
  readonly address: string;
  readonly secret: string;
}

/** From a Worker's folder in `dist/serve-PORT/workers`. */
const [toRepository, toFolder] = ["../../../../", "../../"];

/** A configuration as seen from there. */
export function moved(toml: string, path: string): string {
  const home = path.includes("/") ? `${path.slice(0, path.lastIndexOf("/"))}/` : "";
  return toml
    .replace(/^main = "(.+)"$/m, (_, main: string) => `main = "${toRepository}${home}${main}"`)
    .replace(/^directory = "(?:\.\.\/)*dist\/(\w+)"$/m, (_, assets: string) => `directory = "${toFolder}${assets}"`);
}

function linkConfiguration({ address, secret }: EngineLink): string {
  return `name = "spikingbrain-engine"
main = "${toRepository}infra/node/serve/engine-link.ts"
compatibility_date = "2026-10-15"
workers_dev = false

[vars]
ENGINE_ADDRESS = "${address}"
ENGINE_SECRET = "${secret}"
`;
}
