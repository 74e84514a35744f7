/** A refusal or failure in the shape of OpenAI's API, as replicas answer it. */
export function errorOf(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json({ error: { message: `said by the replica: ${code}`, type: "x", param: null, code } }, { status, headers });
}
