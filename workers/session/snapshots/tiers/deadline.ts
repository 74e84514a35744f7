import { within } from "../../../waiting/within.ts";

/** What other services have to answer within: a slower one is done without. */
export const serviceMilliseconds = 5_000;

/** Another service did not answer, or not in time. What it holds may be well. */
export class ServiceUnreachable extends Error {
  override readonly name = "ServiceUnreachable";
}

/** @throws ServiceUnreachable where the work throws or takes longer. */
export async function answerOf<T>(service: string, work: Promise<T>, milliseconds = serviceMilliseconds): Promise<T> {
  const late = (): never => {
    throw new ServiceUnreachable(`${service} must answer within ${String(milliseconds)} ms; it did not`);
  };
  try {
    return await within(work, milliseconds, late);
  } catch (cause) {
    if (cause instanceof ServiceUnreachable) throw cause;
    throw new ServiceUnreachable(`${service} failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
