import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../api/failure.ts";
import { useApp } from "./context.ts";
import { RetryIcon, SlidersIcon, WarningIcon } from "./icons.tsx";

interface FailureNoteProps {
  readonly failure: Failure;
  readonly onRetry: (() => void) | null;
}

export function FailureNote({ failure, onRetry }: FailureNoteProps) {
  const { texts, openPanel } = useApp();
  const secondsLeft = useCountdown(failure.retryAfterSeconds ?? 0);
  const words = texts.failures[failure.kind];
  const title = failure.kind === "server" && (failure.status ?? 500) >= 500 ? texts.serverError : words.title;
  // The server's own message says more than a general one.
  const advice = failure.kind === "busy" && failure.message !== undefined ? "" : words.advice;
  return (
    <div class="failure" role="alert">
      <WarningIcon />
      <div class="failure-text">
        <p class="failure-title">
          {title}
          {failure.status === undefined ? null : <span class="failure-status">{texts.statusCode(failure.status)}</span>}
        </p>
        {failure.message === undefined ? null : <p class="failure-message">{failure.message}</p>}
        {advice === "" ? null : <p>{advice}</p>}
        {secondsLeft > 0 ? <p aria-live="off">{texts.retryAfter(secondsLeft)}</p> : null}
        {failure.kind === "key" ? (
          <button type="button" class="button" onClick={() => openPanel("settings")}>
            <SlidersIcon />
            {texts.openSettings}
          </button>
        ) : null}
        {onRetry === null ? null : (
          <button type="button" class="button" onClick={onRetry}>
            <RetryIcon />
            {texts.retry}
          </button>
        )}
      </div>
    </div>
  );
}

function useCountdown(seconds: number): number {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setTimeout(() => setLeft(left - 1), 1_000);
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}
