/** The engine as this service asks it: states come rounded where the operator wants them smaller. */
import { recurrentTypes, type GenerationBackend } from "../../contracts/engine.ts";
import type { SessionEnvironment } from "../environment.ts";

/** @throws RangeError that names the variable where it is no type. */
export function engineOf({
  ENGINE,
  STATE_RECURRENT = "f32",
}: Pick<SessionEnvironment, "ENGINE" | "STATE_RECURRENT">): Pick<GenerationBackend, "generate"> {
  const recurrent = recurrentTypes.find((type) => type === STATE_RECURRENT);
  if (recurrent === undefined)
    throw new RangeError(`STATE_RECURRENT: it must be one of ${recurrentTypes.join(", ")}; it is "${STATE_RECURRENT}"`);
  if (recurrent === "f32") return ENGINE;
  return {
    generate: ({ save, ...request }) => ENGINE.generate(save === undefined ? request : { ...request, save: { ...save, recurrent } }),
  };
}
