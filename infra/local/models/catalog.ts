/**
 * Writes what the gateway, the session and the grammar Worker read of all models (`shared-files.ts`): `models.json`, in `catalog` a card for each model
 * whose weights are not prepared here, and in `tokenizers` the tokenizers of those that only a pool serves. A tokenizer that is not in the cache is
 * fetched only where it is asked for: the first chat with the built-in model needs none of them.
 */
import type { ModelCard, ModelIndex, ModelIndexEntry, ModelManifest } from "../../../workers/contracts/model-files.ts";
import { readKnownFacts } from "./known-facts.ts";
import { isPooled, readRegistry, teacherOf, type LocalModel, type PooledModel, type RegisteredModel } from "./registry.ts";
import { writeSharedFiles } from "./shared-files.ts";
import { StampFile, type Stamp } from "./stamp.ts";
import { isFetched, readTokenizerPins, tokenizerSource, tokenizerText, type TokenizerPin } from "./tokenizers.ts";
import { cacheDirectory } from "../paths.ts";

/** Raised when the form of the written files changes. */
const formatVersion = 2;

export interface CatalogOptions {
  /** Whether tokenizers that are not in the cache are fetched. */
  readonly all: boolean;
}

interface CatalogStamp extends Stamp {
  /** The model whose weights are here, the cards and the tokenizers' sources. */
  readonly inputs: object;
}

const stampIn = (output: string) => new StampFile<CatalogStamp>(output, "catalog");

/** `served` is the model whose weights the engine has: it answers requests that name none. */
export async function prepareCatalog(output: string, { id: served }: ModelManifest, { all }: CatalogOptions): Promise<ModelIndex> {
  const cache = cacheDirectory();
  const pins = readTokenizerPins();
  const registry = readRegistry();
  const others = [...registry.values()].filter(({ id }) => id !== served);
  const models = others.filter((model) => isPooled(model));
  const wanted = [...pins.values()].filter((pin) => models.some(({ tokenizer }) => tokenizer === pin.id) && (all || isFetched(pin, cache)));
  const prepared = new Set(wanted.map(({ id }) => id));
  const cards = others.map((model) => ({ model, card: isPooled(model) ? cardOf(model, pins) : localCard(model, registry) }));
  const entries = cards.map(({ model }): ModelIndexEntry => ({
    id: model.id,
    path: `/catalog/${model.id}/`,
    // That of a model which this machine could run comes with its weights.
    tokenizer: isPooled(model) && prepared.has(model.tokenizer) ? tokenizerPath(model.tokenizer) : null,
  }));
  const index: ModelIndex = { models: [{ id: served, path: "/model/", tokenizer: "/model/tokenizer.json" }, ...entries] };
  const inputs = { index, cards: cards.map(({ card }) => card), tokenizers: await Promise.all(wanted.map(tokenizerSource)) };
  const areFetched = wanted.every((pin) => isFetched(pin, cache));
  if (!areFetched || !(await isCurrent(output, inputs))) await write(output, inputs, wanted, cache);
  return index;
}

const tokenizerPath = (id: string): string => `/tokenizers/${id}.json`;

function cardOf(model: PooledModel, pins: ReadonlyMap<string, TokenizerPin>): ModelCard {
  const { id, created, ownedBy, license, weights, parameters, contextLength, form, defaults = {}, tokenizer } = model;
  const tokenizerSha256 = pins.get(tokenizer)?.writtenSha256 ?? "";
  const origin = { license, weights, teacher: null };
  return { id, created, ownedBy, sha256: null, tokenizerSha256, contextLength, form, origin, defaults, parameters, runsOn: ["pool"] };
}

/** Of one whose weights set-up can make, and has not. */
function localCard(model: LocalModel, registry: ReadonlyMap<string, RegisteredModel>): ModelCard {
  const { id, created, ownedBy, license, defaults = {} } = model;
  const teacher = "teacher" in model ? teacherOf(model, registry) : undefined;
  const origin = {
    license,
    weights: "source" in model ? model.source : null,
    teacher: teacher === undefined ? null : { ...teacher.source, license: teacher.license, sha256: teacher.file.sha256 },
  };
  return { id, created, ownedBy, ...readKnownFacts(id), origin, defaults, runsOn: ["engine", "pool"] };
}

interface Inputs {
  readonly index: ModelIndex;
  readonly cards: readonly ModelCard[];
}

async function write(output: string, inputs: Inputs, tokenizers: readonly TokenizerPin[], cache: string): Promise<void> {
  stampIn(output).remove();
  const files = new Map(inputs.cards.map((card) => [`catalog/${card.id}/manifest.json`, JSON.stringify(card, null, 2)]));
  for (const pin of tokenizers) files.set(tokenizerPath(pin.id).slice(1), await tokenizerText(pin, cache));
  // Last: it names the others.
  files.set("models.json", JSON.stringify(inputs.index));
  await stampIn(output).write({ formatVersion, inputs }, writeSharedFiles(output, files, ["catalog", "tokenizers"]));
}

async function isCurrent(output: string, inputs: object): Promise<boolean> {
  const stamp = stampIn(output).read();
  if (stamp?.formatVersion !== formatVersion || JSON.stringify(stamp.inputs) !== JSON.stringify(inputs)) return false;
  return await stampIn(output).holds(stamp);
}
