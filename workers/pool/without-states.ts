/** A request as a backend takes it that moves no states: it reads the whole text, and keeps nothing of it. */
import type { Outcome } from "../contracts/outcome.ts";
import type { GenerateRequest } from "../contracts/engine.ts";
import { messageOf, stateRejected } from "../contracts/request/failures.ts";
import { release } from "../contracts/release.ts";
import type { RequestToPlace } from "./eligible.ts";

/** Whether that is another request than with states. */
export function movesStates({ resume, save }: Pick<GenerateRequest, "resume" | "save">): boolean {
  return resume !== undefined || save !== undefined;
}

/** For the plan, which does not look at ids. */
export function placedWithoutStates(request: RequestToPlace): RequestToPlace {
  const { resume, save: _save, ...rest } = request;
  return { ...rest, maxTokens: rest.maxTokens + (resume?.tokens ?? 0) };
}

/** What the state has read stands before the prompt. */
export async function withoutStates(request: GenerateRequest): Promise<Outcome<GenerateRequest>> {
  const { resume, save: _save, ...rest } = request;
  if (resume === undefined) return { ok: true, value: rest };
  const told = await tokensOf(resume.state);
  if (!told.ok) return told;
  const prompt = new Uint32Array(told.value.length + rest.prompt.length);
  prompt.set(told.value);
  prompt.set(rest.prompt, told.value.length);
  return { ok: true, value: { ...rest, prompt } };
}

async function tokensOf(state: NonNullable<GenerateRequest["resume"]>["state"]): Promise<Outcome<Uint32Array>> {
  try {
    const outcome = await state.tokens();
    if (!outcome.ok) return { ok: false, failure: stateRejected(outcome.failure.message) };
    const tokens = outcome.value.slice();
    release(outcome);
    return { ok: true, value: tokens };
  } catch (cause) {
    return { ok: false, failure: stateRejected(`the state's tokens could not be read: ${messageOf(cause)}`) };
  }
}
