/** A request that asks for spikes needs a model that has some. */
import type { ModelDescription } from "../../contracts/engine.ts";
import type { SpikingMode } from "../../contracts/spikes.ts";
import { unsupportedField } from "../failures.ts";

/** The model's spiking mode, when it is not `off`. */
export function requireSpikes({ spikes = "off" }: ModelDescription): SpikingMode {
  if (spikes !== "off") return spikes;
  throw unsupportedField(
    "spikes",
    "'spikes' cannot be counted: the model runs in spiking mode 'off', in which nothing fires. " +
      "The operator can choose 'paper' or 'released' with the variable SPIKES.",
  );
}
