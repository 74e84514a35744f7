import type { AnswerAction } from "./action.ts";
import type { AssistantMessage, Conversation, State } from "./types.ts";
import { updateAnswer, updateConversation, without } from "./update.ts";

export function reduceAnswer(state: State, action: AnswerAction): State {
  return updateConversation(state, action.id, (conversation) => reduceOne(conversation, action));
}

function reduceOne(conversation: Conversation, action: AnswerAction): Conversation {
  switch (action.type) {
    case "answer-opened":
      return updateAnswer(conversation, action.messageId, (answer) => ({ ...answer, stream: action.stream }));
    case "answer-grew":
      return updateAnswer(conversation, action.messageId, (answer) => ({
        ...movedTo(answer, action.eventId),
        status: "streaming",
        text: answer.text + action.text,
        measure: action.measure,
      }));
    case "answer-measured":
      return updateAnswer(conversation, action.messageId, (answer) => ({ ...answer, measure: action.measure }));
    case "answer-kept":
      return updateAnswer(conversation, action.messageId, (answer) => ({
        ...without(answer, "stream"),
        text: action.text,
        turn: action.turn,
      }));
    case "answer-resumed":
      return updateAnswer(conversation, action.messageId, (answer) => ({
        ...without(answer, "failure"),
        status: answer.text === "" ? "waiting" : "streaming",
      }));
    case "answer-ended":
      return end(conversation, action);
  }
}

function end(conversation: Conversation, action: Extract<AnswerAction, { type: "answer-ended" }>): Conversation {
  const { messageId, status, measure, finishReason, failure, resumable } = action;
  // The server's own word that the answer has ended is also its word that the turn is kept.
  const kept = finishReason !== undefined && failure === undefined;
  let turn: number | null = null;
  const ended = updateAnswer(conversation, messageId, (answer) => {
    if (kept) turn = answer.stream?.turn ?? null;
    return {
      ...(resumable === true ? answer : without(answer, "stream")),
      status,
      measure,
      ...(finishReason === undefined ? {} : { finishReason }),
      ...(failure === undefined ? {} : { failure }),
      ...(turn === null ? {} : { turn }),
    };
  });
  const { session } = ended;
  return {
    ...ended,
    ...(session === undefined ? {} : { session: { ...without(session, "recalled"), turns: turn } }),
    updatedAt: action.now,
  };
}

function movedTo(answer: AssistantMessage, eventId: string | undefined): AssistantMessage {
  return eventId === undefined || answer.stream === undefined ? answer : { ...answer, stream: { ...answer.stream, eventId } };
}
