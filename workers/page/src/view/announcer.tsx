import { useEffect, useRef, useState } from "preact/hooks";
import { currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { wentOnAt } from "./placement-note.tsx";

/** More would not be listened to; the answer itself can be read at leisure. */
const maximumSpokenCharacters = 1_000;

/** Tells a screen reader that an answer has begun, that it goes on elsewhere and, once it is whole, what it says: read token by token it would be noise. Failures are alerts of their own. */
export function Announcer() {
  const { state, texts } = useApp();
  const last = currentConversation(state)?.messages.at(-1);
  const answer = last?.role === "assistant" ? last : null;
  const status = answer?.status ?? null;
  const [spoken, setSpoken] = useState("");
  const running = useRef<string | null>(null);
  useEffect(() => {
    if (answer === null) return;
    if (status === "waiting" || status === "streaming") {
      if (running.current !== answer.id) setSpoken(texts.started);
      running.current = answer.id;
    } else if (running.current === answer.id) {
      running.current = null;
      setSpoken(
        status === "done" ? texts.finished(answer.text.slice(0, maximumSpokenCharacters)) : status === "stopped" ? texts.stopped : "",
      );
    }
  }, [answer?.id, status]);
  const placements = answer?.measure.placements ?? [];
  const latest = placements.length > 1 ? placements.at(-1) : undefined;
  useEffect(() => {
    if (latest !== undefined && running.current !== null) setSpoken(wentOnAt(latest, texts));
  }, [answer?.id, placements.length]);
  return (
    <div class="visually-hidden" role="status">
      {spoken}
    </div>
  );
}
