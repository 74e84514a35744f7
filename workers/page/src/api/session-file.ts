/** A conversation with its state as one sealed file. */
import { request, requestRecord } from "./request.ts";
import { sessionFacts, sessionPath, type SessionFacts } from "./sessions.ts";

/** Without a passphrase only the same key can import it. */
export async function exportSession(session: string, passphrase: string, signal: AbortSignal): Promise<Blob> {
  const json = passphrase === "" ? {} : { passphrase };
  return (await request(`${sessionPath(session)}/export`, { method: "POST", json, signal })).blob();
}

export async function importSession(file: Blob, passphrase: string, signal: AbortSignal): Promise<SessionFacts> {
  const headers: Record<string, string> = { "content-type": "application/octet-stream" };
  // Percent-encoded: a header holds no other characters than ASCII's.
  if (passphrase !== "") headers["x-spikingbrain-passphrase"] = encodeURIComponent(passphrase);
  return sessionFacts(await requestRecord("/v1/sessions/import", { method: "POST", body: file, headers, signal }));
}
