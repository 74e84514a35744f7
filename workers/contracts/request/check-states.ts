/** Checks what a request says of states: where it starts, what it continues, what it wants saved. */
import { recurrentTypes, type SaveStates } from "../engine.ts";
import type { ServiceFailure } from "../errors.ts";
import { invalidField } from "./failures.ts";
import type { RequestToCheck } from "./open-state.ts";

/** Each may need a copy of the state. */
const mostStatesOnTheWay = 16;

/** The first field at fault, or undefined. */
export function stateRefusalOf(
  request: RequestToCheck,
  { vocabularySize }: { readonly vocabularySize: number },
): ServiceFailure | undefined {
  const { continued = 0, prompt, resume, save, promptLogprobs } = request;
  return (
    checkWhole("continued", continued, 0, prompt.length) ??
    (resume === undefined ? undefined : checkResume(resume, vocabularySize)) ??
    (resume === undefined || promptLogprobs === null
      ? undefined
      : invalidField("promptLogprobs", "must be null where a state is resumed", promptLogprobs)) ??
    (save === undefined ? undefined : checkSave(save, resume?.tokens ?? 0, prompt.length))
  );
}

function checkResume(resume: NonNullable<RequestToCheck["resume"]>, vocabularySize: number): ServiceFailure | undefined {
  // The types are only a promise: this came over RPC.
  if (!isObject(resume)) return invalidField("resume", "must be an object", resume);
  const { tokens, seen } = resume;
  if (!(seen instanceof Uint32Array)) return invalidField("resume.seen", "must be a Uint32Array of token ids", seen);
  const position = seen.findIndex((id) => id >= vocabularySize);
  if (position >= 0)
    return invalidField(`resume.seen[${String(position)}]`, `must be below the vocabulary size ${String(vocabularySize)}`, seen[position]);
  return checkWhole("resume.tokens", tokens, 1, Number.MAX_SAFE_INTEGER);
}

function checkSave(save: SaveStates, resumed: number, prompt: number): ServiceFailure | undefined {
  if (!isObject(save)) return invalidField("save", "must be an object", save);
  const { at, end, fromPage, recurrent = "f32" } = save;
  if (!Array.isArray(at)) return invalidField("save.at", "must be an array of token counts", at);
  if (at.length > mostStatesOnTheWay) return invalidField("save.at", `may hold ${String(mostStatesOnTheWay)} counts`, at);
  let before = resumed;
  for (const [index, tokens] of (at as SaveStates["at"]).entries()) {
    const failure = checkWhole(`save.at[${String(index)}]`, tokens, before + 1, resumed + prompt);
    if (failure !== undefined) return failure;
    before = tokens;
  }
  if (!recurrentTypes.includes(recurrent)) return invalidField("save.recurrent", `must be one of ${recurrentTypes.join(", ")}`, recurrent);
  if (typeof end !== "boolean") return invalidField("save.end", "must be true or false", end);
  return checkWhole("save.fromPage", fromPage, 0, Number.MAX_SAFE_INTEGER);
}

function checkWhole(name: string, value: unknown, low: number, high: number): ServiceFailure | undefined {
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return undefined;
  return invalidField(name, `must be an integer from ${String(low)} to ${String(high)}`, value);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
