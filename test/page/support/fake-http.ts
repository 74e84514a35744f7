import type { IncomingMessage, ServerResponse } from "node:http";
import type { FakeResponse } from "./fake-sessions.ts";

export function keyOf(request: IncomingMessage): string {
  return request.headers.authorization?.replace(/^Bearer /, "") ?? "";
}

export function answer(response: ServerResponse, { status, body }: FakeResponse): void {
  if (body === undefined) response.writeHead(status).end();
  else sendJson(response, status, body);
}

export async function readBody(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

export function sendJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}
