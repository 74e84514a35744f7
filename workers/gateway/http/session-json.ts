/** Sessions, turns and contexts as the API shows them. */
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import type { SessionFacts, SharedSession, ShareFacts, Turn } from "../../contracts/session.ts";
import { errorBody } from "../error-body.ts";

export function sessionJson(facts: SessionFacts): object {
  const { id, kind, name, model, created, updated, expires, tokens, turns, stateBytes, bytes, tier, parent, running, ingest } = facts;
  return {
    id,
    object: "session",
    ...{ kind, name, model, created, updated, expires, tokens, turns },
    state_bytes: stateBytes,
    ...{ bytes, tier },
    parent: parent === undefined ? null : { session_id: parent.session, turn: parent.turn },
    running: running ?? null,
    ingest:
      ingest === undefined
        ? null
        : {
            stage: ingest.stage,
            received_bytes: ingest.receivedBytes,
            tokens: ingest.tokens,
            read_tokens: ingest.readTokens,
            ...(ingest.failure === undefined ? {} : errorBody(ingest.failure)),
          },
  };
}

export function turnJson({ number, messages, tokens, finish, created }: Turn): object {
  return { number, messages: messages.map(messageJson), tokens, finish, created };
}

/** As chat completions show it. */
function messageJson({ role, content, name, calls, callId }: TranscriptMessage): object {
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(calls === undefined ? {} : { tool_calls: calls.map(({ id, ...called }) => ({ id, type: "function", function: called })) }),
    ...(callId === undefined ? {} : { tool_call_id: callId }),
  };
}

export function shareJson({ id, session, name, created, expires }: ShareFacts): object {
  return { object: "share", id, session_id: session, name, created, expires };
}

/** Without its turns. */
export function sharedJson({ name, model, tokens, stateBytes, expires }: SharedSession): object {
  return { object: "shared_session", name, model, tokens, state_bytes: stateBytes, expires };
}

/** A list page; one more than it holds was asked for. */
export function listJson<T>(items: readonly T[], limit: number, show: (item: T) => object): object {
  return { object: "list", data: items.slice(0, limit).map(show), has_more: items.length > limit };
}
