/** The stage Worker with a longer way to it, and with ends: for measurements and tests of both. */
import type { StageAnswer } from "../../../workers/contracts/stages.ts";
import type { StageEnvironment } from "../../../workers/stage/settings.ts";
import { StageObject as ServedStageObject } from "../../../workers/stage/index.ts";
import { pause } from "../../../workers/waiting/within.ts";

interface MortalEnvironment extends StageEnvironment {
  /** Milliseconds that are added to each way here. */
  readonly HOP_MILLISECONDS?: string;
  /** Passes after which the object is ended, comma-separated. */
  readonly END_AFTER?: string;
}

/** Of all objects of the isolate, which outlives them. */
let passes = 0;

export class StageObject extends ServedStageObject {
  override async pass(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>> {
    const { HOP_MILLISECONDS: hop = "0", END_AFTER: endAfter = "" } = this.env as MortalEnvironment;
    if (hop !== "0") await pause(Number(hop));
    passes += 1;
    if (endAfter.split(",").includes(String(passes))) this.ctx.abort("this stage has been ended");
    return await super.pass(epoch, message);
  }
}

export { default } from "../../../workers/stage/index.ts";
