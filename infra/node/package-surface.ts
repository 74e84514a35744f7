/** What the built packages are called, are given and print. */
import type { LoaderOptions } from "../../workers/engine/engine-surface.ts";

/** The fastest first. */
export const packageNames = ["relaxed", "simd128"] as const;
export type PackageName = (typeof packageNames)[number];

export interface LoadOptions extends LoaderOptions {
  /** The build to use; the fastest that this host validates unless given. */
  readonly package?: PackageName;
  /** Called with the bytes read so far and in all. */
  readonly onProgress?: (read: number, total: number) => void;
}

export interface StateSize {
  readonly context: number;
  readonly bytes: number;
  readonly headBytes: number;
  readonly pageBytes: number;
  readonly bytesPerToken: number;
}

/** What `ModelInspector.describe()` prints. */
export interface Inspection {
  readonly architecture: string;
  readonly name: string;
  readonly layers: number;
  readonly layerKinds: Readonly<Record<string, number>>;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly parameters: number;
  readonly activeParameters: number;
  /** Memory that the packed weights take. */
  readonly weightBytes: number;
  readonly storedTypes: Readonly<Record<string, number>>;
  readonly spikes: string;
  readonly spikesK: number;
  /** Sites with a k of their own. */
  readonly spikesSiteK: Readonly<Record<string, number>>;
  /** Whether a state stops growing once its windows are full. */
  readonly constantState: boolean;
  /** Evicted tokens that each KV head keeps exactly at the most; null without evicted mixers. */
  readonly salientTokens: number | null;
  /** Of the largest exchange between ranks. */
  readonly exchangedBytes: number;
  readonly state: Readonly<Record<"f32" | "int8", readonly StateSize[]>>;
}
