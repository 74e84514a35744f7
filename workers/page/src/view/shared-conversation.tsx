import { useEffect } from "preact/hooks";
import { Markdown } from "../markdown/markdown.tsx";
import type { SharedSession } from "../api/shares.ts";
import { leaveShareAddress } from "../state/share-link.ts";
import { transcriptOf } from "../state/transcript.ts";
import type { SharedView } from "../state/types.ts";
import { useApp } from "./context.ts";
import { FailureNote } from "./failure-note.tsx";
import { formatDate } from "./format.ts";
import { DocumentIcon } from "./icons.tsx";
import { useAttempt } from "./use-attempt.ts";

/** What a link shows: a conversation to read, and to go on with. */
export function SharedConversation({ shared }: { readonly shared: SharedView }) {
  const { texts, actions } = useApp();
  useUnindexed();
  useEffect(() => leaveShareAddress, []);
  const { session, failure } = shared;
  return (
    <div class="scroller" role="region" aria-label={texts.transcript} tabIndex={0}>
      <div class="column messages">
        {session === null && failure === null ? (
          <p class="waiting" role="status">
            <span class="pulse" aria-hidden="true" />
            {texts.sharedLoading}
          </p>
        ) : null}
        {failure?.kind === "gone" ? (
          <div role="alert">
            <p>{texts.sharedGone}</p>
            <p class="answer-note">{texts.sharedGoneAdvice}</p>
          </div>
        ) : null}
        {failure === null || failure.kind === "gone" ? null : (
          <FailureNote failure={failure} onRetry={() => void actions.sharing.look(shared.id)} />
        )}
        {session === null ? null : <SharedTranscript session={session} />}
      </div>
    </div>
  );
}

function SharedTranscript({ session }: { readonly session: SharedSession }) {
  const { texts, actions } = useApp();
  const { busy, failure, run } = useAttempt();
  const { messages, document } = transcriptOf(session.id, session.model, session.turns);
  return (
    <>
      <p class="shared-note">{texts.sharedNote(formatDate(session.expires, texts.code))}</p>
      {document === null ? null : (
        <p class="about-document">
          <DocumentIcon />
          <bdi>{texts.sharedDocument(document)}</bdi>
        </p>
      )}
      {messages.map((message) =>
        message.role === "user" ? (
          <article key={message.id} class="message user">
            <h2 class="visually-hidden">{texts.you}</h2>
            <div class="bubble" dir="auto">
              {message.text}
            </div>
          </article>
        ) : (
          <article key={message.id} class="message answer">
            <h2 class="visually-hidden">{message.model}</h2>
            <Markdown text={message.text} complete copyLabel={texts.copyCode} />
          </article>
        ),
      )}
      {failure === null ? null : <FailureNote failure={failure} onRetry={null} />}
      <button
        type="button"
        class="button primary shared-continue"
        disabled={busy}
        aria-busy={busy}
        onClick={() => run(() => actions.sharing.goOn(session))}
      >
        {texts.sharedContinue}
      </button>
    </>
  );
}

/** Nobody meant it to be found by searching. */
function useUnindexed(): void {
  useEffect(() => {
    const robots = document.createElement("meta");
    robots.name = "robots";
    robots.content = "noindex";
    document.head.append(robots);
    return () => robots.remove();
  }, []);
}
