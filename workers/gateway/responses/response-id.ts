/**
 * Names of responses: `resp_`, what tells its session from others, then the name of its stream. Both were signed for their tenant
 * (`workers/session/ids`), so that one which was not given out is known from the name alone. A conversation is a session under another name.
 */
import { conversationNotFound, responseNotFound } from "../failures.ts";

const named = /^resp_([0-9a-f]{32,48})([a-z]{2,8}[0-9]{2}-[0-9a-f]{48})$/;

export interface ResponsePlace {
  readonly session: string;
  readonly stream: string;
}

export const responseId = ({ session, stream }: ResponsePlace): string => `resp_${session.slice("sess_".length)}${stream}`;

/** @throws ServiceError `response_not_found` for what can't be one's name, as of one that was not kept. */
export function responsePlace(id: string, param = "response_id"): ResponsePlace {
  const [, session, stream] = named.exec(id) ?? [];
  if (session === undefined || stream === undefined) throw responseNotFound(id, param);
  return { session: `sess_${session}`, stream };
}

export const conversationId = (session: string): string => `conv_${session.slice("sess_".length)}`;

/** Of either name. @throws ServiceError `conversation_not_found`. */
export function sessionOfConversation(id: string, param = "conversation"): string {
  if (id.startsWith("conv_")) return `sess_${id.slice("conv_".length)}`;
  if (id.startsWith("sess_")) return id;
  throw conversationNotFound(param);
}
