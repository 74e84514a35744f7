import { useEffect, useState } from "preact/hooks";
import { Markdown } from "../markdown/markdown.tsx";
import { canSend } from "../state/selectors.ts";
import type { AssistantMessage, Message } from "../state/types.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";
import { FailureNote } from "./failure-note.tsx";
import { formatCount, formatSeconds } from "./format.ts";
import { ForkIcon, RetryIcon } from "./icons.tsx";
import { PlacementNote } from "./placement-note.tsx";
import { Speed } from "./speed.tsx";
import { SpikeMeter } from "./spike-meter.tsx";
import { VersionSwitch } from "./version-switch.tsx";

interface AnswerMessageProps {
  readonly message: AssistantMessage;
  readonly last: boolean;
  readonly versions: readonly Message[];
  /** Whether the conversation is being answered. */
  readonly running: boolean;
}

export function AnswerMessage({ message, last, versions, running }: AnswerMessageProps) {
  const { state, texts, actions } = useApp();
  const final = message.status !== "waiting" && message.status !== "streaming";
  return (
    <article class="message answer" data-status={message.status} aria-busy={!final}>
      <h2 class="visually-hidden">{message.model || texts.model}</h2>
      {message.status === "waiting" ? <Waiting tokensRead={message.measure.state?.tokens ?? null} /> : null}
      {message.text === "" ? null : <Markdown text={message.text} complete={final} copyLabel={texts.copyCode} />}
      {message.status === "done" && message.text === "" ? <p class="answer-note">{texts.emptyAnswer}</p> : null}
      {message.status === "stopped" ? <p class="answer-note">{texts.stopped}</p> : null}
      {message.finishReason === "length" ? <p class="answer-note">{texts.reachedLimit}</p> : null}
      {message.failure === undefined ? null : <FailureNote failure={message.failure} onRetry={last ? actions.retry : null} />}
      <footer class="message-foot">
        {final && message.text !== "" ? <CopyButton label={texts.copyMessage} text={message.text} /> : null}
        {final && last && message.status !== "failed" ? (
          <button
            type="button"
            class="icon-button"
            aria-label={texts.regenerate}
            title={canSend(state) ? texts.regenerate : texts.sendOffline}
            disabled={!canSend(state)}
            onClick={actions.regenerate}
          >
            <RetryIcon />
          </button>
        ) : null}
        {final && message.text !== "" ? (
          <button
            type="button"
            class="icon-button"
            aria-label={texts.forkHere}
            title={texts.forkHere}
            onClick={() => actions.fork(message.id)}
          >
            <ForkIcon />
          </button>
        ) : null}
        <VersionSwitch message={message} versions={versions} disabled={running} />
        <Speed message={message} />
      </footer>
      {message.measure.placements === undefined ? null : <PlacementNote placements={message.measure.placements} />}
      {message.measure.spikes === undefined ? null : <SpikeMeter spikes={message.measure.spikes} />}
    </article>
  );
}

/** After this long, an explanation helps more than a clock. */
const slowMs = 4_000;
const tickMs = 100;

/** While a long prompt is read, how far; before that, for how long. */
function Waiting({ tokensRead }: { readonly tokensRead: number | null }) {
  const { texts } = useApp();
  const [start] = useState(() => performance.now());
  const [elapsed, setElapsed] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setElapsed(performance.now() - start), tickMs);
    return () => clearInterval(timer);
  }, []);
  return (
    <p class="waiting">
      <span class="pulse" aria-hidden="true" />
      {tokensRead === null ? texts.waiting : texts.reading(formatCount(tokensRead, texts.code))}{" "}
      <span class="clock">{formatSeconds(elapsed, texts.code)}</span>
      {elapsed > slowMs && tokensRead === null ? <span class="waiting-hint">{texts.loadingModel}</span> : null}
    </p>
  );
}
