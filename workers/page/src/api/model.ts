import { spikingModes, type SpikingMode } from "../../../contracts/spikes.ts";
import type { ChatMessage } from "./chat-request.ts";
import { FailureError, record } from "./failure.ts";
import { requestRecord } from "./request.ts";

export interface ServedModel {
  readonly id: string;
  /** Longest prompt plus answer of one request, in tokens; null where the server does not say. */
  readonly contextLength: number | null;
  /** How many weights it has; null where the server does not say. */
  readonly parameters: number | null;
  /** How it mixes tokens, in the server's words. */
  readonly form: string | null;
  /** What conversations take of the server's memory; null where it does not say. */
  readonly state: ModelState | null;
  /** Whether it has neurons that fire, which can then be counted. */
  readonly spikes: boolean;
  /** `cold` answers after its weights are loaded; a server that does not say is ready. */
  readonly status: "ready" | "cold" | "unavailable";
  /** Why it is not ready, in the server's words; null where it is, or the server does not say. */
  readonly reason: string | null;
  /** Whether it can't run at the edge, only on replicas. */
  readonly poolOnly: boolean;
  /** Whether the server says where answers run. */
  readonly tellsPlacement: boolean;
  /** How the server chooses tokens where a request does not say, by the names of the request's fields; empty where it does not tell. */
  readonly defaults: SamplingDefaults;
  /** How the server runs it; null where it does not say. */
  readonly spiking: SpikingMode | null;
  /** What a browser downloads to run it itself; null where the server does not give it away. */
  readonly download: { readonly bytes: number } | null;
}

type SamplingDefaults = Readonly<Record<string, number>>;

export interface ModelState {
  /** Most bytes that one conversation takes. */
  readonly bytes: number;
  /** Whether a conversation may go on for ever in the same memory. */
  readonly constant: boolean;
  /** Bytes that each token would add to the keys and values of a model whose every layer is full attention. */
  readonly fullAttentionBytesPerToken: number;
}

/** The models of `GET /v1/models`, at least one; the first is the server's own choice. */
export async function fetchModels(signal: AbortSignal): Promise<readonly ServedModel[]> {
  const body = await requestRecord("/v1/models", { signal });
  const list: unknown = body["data"];
  if (!Array.isArray(list) || list.length === 0) throw new FailureError({ kind: "protocol" });
  return list.map(servedModel);
}

function servedModel(card: unknown): ServedModel {
  const model = record(card);
  const id = model?.["id"];
  if (typeof id !== "string") throw new FailureError({ kind: "protocol" });
  const { status, reason } = model ?? {};
  const length = model?.["max_model_len"];
  const parameters = model?.["parameters"];
  const form = record(model?.["form"])?.["summary"];
  return {
    id,
    contextLength: typeof length === "number" ? length : null,
    parameters: typeof parameters === "number" ? parameters : null,
    form: typeof form === "string" ? form : null,
    state: modelState(record(model?.["state"])),
    spikes: model?.["spiking"] === "paper" || model?.["spiking"] === "released",
    status: status === "cold" || status === "unavailable" ? status : "ready",
    reason: typeof reason === "string" ? reason : null,
    poolOnly: Array.isArray(model?.["runs_on"]) && !model["runs_on"].includes("engine"),
    tellsPlacement: Array.isArray(model?.["served_by"]),
    defaults: samplingDefaults(record(model?.["defaults"])),
    spiking: spikingModes.find((mode) => mode === model?.["spiking"]) ?? null,
    download: downloadOf(record(model?.["download"])),
  };
}

function downloadOf(download: Record<string, unknown> | undefined): ServedModel["download"] {
  const bytes = download?.["bytes"];
  return typeof bytes === "number" ? { bytes } : null;
}

function samplingDefaults(defaults: Record<string, unknown> | undefined): SamplingDefaults {
  return Object.fromEntries(Object.entries(defaults ?? {}).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

function modelState(state: Record<string, unknown> | undefined): ModelState | null {
  const { constant, bytes, full_attention_bytes_per_token: fullAttentionBytesPerToken } = state ?? {};
  if (typeof constant !== "boolean" || typeof bytes !== "number" || typeof fullAttentionBytesPerToken !== "number") return null;
  return { constant, bytes, fullAttentionBytesPerToken };
}

/** How many tokens these messages take as a prompt, from `POST /tokenize`. */
export async function countTokens(model: string, messages: readonly ChatMessage[], signal: AbortSignal): Promise<number> {
  const { count } = await requestRecord("/tokenize", { method: "POST", json: { model, messages }, signal });
  if (typeof count !== "number") throw new FailureError({ kind: "protocol" });
  return count;
}
