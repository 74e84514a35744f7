/** A request whose state is open: the engine object asks for the bytes once it knows that it will take the request. */
import type { Outcome } from "../outcome.ts";
import type { GenerateRequest, ResumeState } from "../engine.ts";
import type { ServiceFailure } from "../errors.ts";
import { release } from "../release.ts";
import { invalidField, messageOf, stateRejected } from "./failures.ts";

export interface OpenedState extends Omit<ResumeState, "state"> {
  readonly bytes: ReadableStream<Uint8Array>;
}

export interface OpenedRequest extends Omit<GenerateRequest, "resume"> {
  readonly resume?: OpenedState;
}

/** All of a request that can be checked before its state is open. */
export interface RequestToCheck extends Omit<GenerateRequest, "resume"> {
  readonly resume?: Omit<ResumeState, "state">;
}

/** What takes requests whose states are open, and says beforehand whether it would. */
export interface Admission {
  refusalOf(request: RequestToCheck): ServiceFailure | undefined;
  submit(request: OpenedRequest): Outcome<ReadableStream<Uint8Array>>;
}

/** Submits a request with its state, where it starts from one. */
export async function submitWithState(
  admission: Admission,
  { resume, ...request }: GenerateRequest,
): Promise<Outcome<ReadableStream<Uint8Array>>> {
  const refusal = admission.refusalOf(resume === undefined ? request : { ...request, resume });
  if (refusal !== undefined) return { ok: false, failure: refusal };
  if (resume === undefined) return admission.submit(request);
  const { tokens, seen } = resume;
  const opened = await openState(resume);
  if (!opened.ok) return opened;
  const outcome = admission.submit({ ...request, resume: { tokens, seen, bytes: opened.value } });
  if (!outcome.ok) await opened.value.cancel(outcome.failure.message).catch(() => undefined);
  return outcome;
}

/** The type is only a promise: this came over RPC, where a reference is a function that stands for an object. */
function isReference(state: unknown): boolean {
  return typeof state === "function" || (typeof state === "object" && state !== null);
}

/** The state's whole file. */
export async function openState({ state }: ResumeState): Promise<Outcome<ReadableStream<Uint8Array>>> {
  if (!isReference(state)) return { ok: false, failure: invalidField("resume.state", "must be a reference to a state file", state) };
  try {
    const outcome = await state.open(0);
    release(outcome);
    return outcome.ok ? outcome : { ok: false, failure: stateRejected(outcome.failure.message) };
  } catch (cause) {
    return { ok: false, failure: stateRejected(`the state could not be opened: ${messageOf(cause)}`) };
  }
}
