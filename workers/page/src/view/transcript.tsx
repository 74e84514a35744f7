import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { versionsAt } from "../state/branches.ts";
import { canSend, isRunning } from "../state/selectors.ts";
import type { Conversation } from "../state/types.ts";
import { AnswerMessage } from "./answer-message.tsx";
import { useApp } from "./context.ts";
import { copiedMs } from "./copy-button.tsx";
import { DocumentIcon, DownIcon } from "./icons.tsx";
import { UserMessage } from "./user-message.tsx";

interface TranscriptProps {
  readonly conversation: Conversation;
  readonly editingId: string | null;
  readonly onEdit: (messageId: string | null) => void;
}

/** Closer to the end than this counts as at the end. */
const endPx = 24;

export function Transcript({ conversation, editingId, onEdit }: TranscriptProps) {
  const { state, texts } = useApp();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { following, follow, onScroll } = useFollowing(scroller, content);
  const { messages, branches } = conversation;
  const running = isRunning(conversation);
  const lastUserId = messages.findLast((message) => message.role === "user")?.id;
  // A new question is worth seeing, wherever the reader was.
  useLayoutEffect(follow, [conversation.id, lastUserId]);

  const list = useMemo(
    () =>
      messages.map((message, index) => {
        const common = { versions: versionsAt(conversation, index), running };
        // By place, not by message: whoever steps through its versions stays on the button.
        return message.role === "user" ? (
          <UserMessage key={index} message={message} editing={editingId === message.id} onEdit={onEdit} {...common} />
        ) : (
          <AnswerMessage key={index} message={message} last={index === messages.length - 1} {...common} />
        );
      }),
    [messages, branches, running, editingId, canSend(state), texts],
  );

  return (
    <div class="transcript">
      <div
        ref={scroller}
        class="scroller"
        role="region"
        aria-label={texts.transcript}
        tabIndex={0}
        onScroll={onScroll}
        onClick={(event) => copyCode(event.target, texts)}
      >
        <div ref={content} class="column messages">
          {conversation.document === undefined ? null : (
            <p class="about-document">
              <DocumentIcon />
              <bdi>{texts.aboutDocument(conversation.document.name)}</bdi>
            </p>
          )}
          {conversation.behind === true && messages.length === 0 ? (
            <p class="waiting" role="status">
              <span class="pulse" aria-hidden="true" />
              {texts.loadingConversation}
            </p>
          ) : null}
          {list}
        </div>
      </div>
      {following ? null : (
        <button type="button" class="jump" onClick={follow}>
          <DownIcon />
          {texts.jumpToLatest}
        </button>
      )}
    </div>
  );
}

interface Following {
  readonly following: boolean;
  readonly follow: () => void;
  readonly onScroll: () => void;
}

type ElementRef = { readonly current: HTMLDivElement | null };

/** Keeps the end in view while content grows, until the reader scrolls up; scrolling back to the end takes it up again. */
function useFollowing(scroller: ElementRef, content: ElementRef): Following {
  const [following, setFollowing] = useState(true);
  const wanted = useRef(true);
  const lastTop = useRef(0);

  function change(follow: boolean): void {
    wanted.current = follow;
    setFollowing(follow);
  }

  function toEnd(): void {
    const element = scroller.current;
    if (element === null) return;
    element.scrollTop = element.scrollHeight;
    lastTop.current = element.scrollTop;
  }

  useLayoutEffect(() => {
    if (content.current === null || scroller.current === null) return undefined;
    const observer = new ResizeObserver(() => wanted.current && toEnd());
    observer.observe(content.current);
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);

  return {
    following,
    follow() {
      change(true);
      toEnd();
    },
    onScroll() {
      const element = scroller.current;
      if (element === null) return;
      const fromEnd = element.scrollHeight - element.clientHeight - element.scrollTop;
      // Only a movement upwards is the reader's; content that grows below is not.
      if (fromEnd <= endPx && element.scrollTop >= lastTop.current) change(true);
      else if (element.scrollTop < lastTop.current && fromEnd > 2) change(false);
      lastTop.current = element.scrollTop;
    },
  };
}

interface CopyTexts {
  readonly copyCode: string;
  readonly copied: string;
  readonly copyFailed: string;
}

/** Code blocks are made of sanitized nodes, not components, so their buttons are handled here. */
function copyCode(target: EventTarget | null, texts: CopyTexts): void {
  const button = target instanceof Element ? target.closest("[data-copy-code]") : null;
  const code = button?.closest(".code")?.querySelector("pre")?.textContent;
  if (button === null || code === undefined) return;
  const say = (text: string) => {
    button.textContent = text;
    setTimeout(() => (button.textContent = texts.copyCode), copiedMs);
  };
  navigator.clipboard.writeText(code).then(
    () => say(texts.copied),
    () => say(texts.copyFailed),
  );
}
