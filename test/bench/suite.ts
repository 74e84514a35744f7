/** What a benchmark suite offers. */
import type { ModelManifest } from "../../workers/contracts/model-files.ts";
import type { SuiteResult } from "./report/result.ts";

export interface SuiteOptions {
  readonly model: ModelManifest;
  /** Times that everything is measured, alternately. */
  readonly rounds: number;
  /** Says how far it is. */
  readonly progress: (message: string) => void;
}

export interface Suite {
  readonly name: string;
  readonly description: string;
  readonly defaultRounds: number;
  /** Registered model that it measures unless `SPIKINGBRAIN_MODEL` names another; the one that is served where it is left out. */
  readonly model?: string;
  run(options: SuiteOptions): Promise<SuiteResult>;
}
