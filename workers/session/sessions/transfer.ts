/** Sessions as sealed files. */
import type { Outcome } from "../../contracts/engine.ts";
import type { SessionFacts, TenantId } from "../../contracts/session.ts";
import type { SessionEnvironment } from "../environment.ts";
import { internalError } from "../failures.ts";

export function exportSession(
  _environment: SessionEnvironment,
  _tenant: TenantId,
  _id: string,
  _passphrase: string | null,
): Promise<Outcome<{ readonly file: ReadableStream<Uint8Array> }>> {
  return Promise.resolve({ ok: false, failure: internalError("pending") });
}

export async function importSession(
  _environment: SessionEnvironment,
  _tenant: TenantId,
  file: ReadableStream<Uint8Array>,
  _passphrase: string | null,
): Promise<Outcome<SessionFacts>> {
  await file.cancel();
  return { ok: false, failure: internalError("pending") };
}
