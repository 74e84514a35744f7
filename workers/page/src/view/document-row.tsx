import type { Texts } from "../language/english.ts";
import type { Document } from "../state/types.ts";
import { useApp } from "./context.ts";
import { FailureNote } from "./failure-note.tsx";
import { formatCount, formatSize } from "./format.ts";
import { CloseIcon, DocumentIcon } from "./icons.tsx";

interface DocumentRowProps {
  readonly document: Document;
  readonly onAsk: () => void;
}

export function DocumentRow({ document, onAsk }: DocumentRowProps) {
  const { texts, actions } = useApp();
  const { facts } = document;
  const failure = document.failure ?? facts.failure;
  // What the server has given up, only the same text as a new document helps.
  const retry = document.failure === null ? null : () => actions.documents.retry(facts.id);
  return (
    <li class="document" data-stage={facts.stage}>
      <DocumentIcon />
      <div class="document-text">
        <p class="document-name" dir="auto">
          {facts.name}
        </p>
        <p class="hint" aria-live="off">
          {stageText(document, texts)}
        </p>
        {facts.stage === "uploading" || facts.stage === "reading" ? (
          <progress aria-label={texts.documentProgress(facts.name)} max={1} value={share(document)} />
        ) : null}
        {failure === null ? null : <FailureNote failure={failure} onRetry={retry} />}
      </div>
      {facts.stage === "ready" ? (
        <button
          type="button"
          class="button"
          onClick={() => {
            actions.newChat({ id: facts.id, name: facts.name });
            onAsk();
          }}
        >
          {texts.documentAsk}
        </button>
      ) : null}
      <button
        type="button"
        class="icon-button"
        aria-label={texts.documentRemove(facts.name)}
        title={texts.documentRemove(facts.name)}
        onClick={() => actions.documents.remove(facts.id)}
      >
        <CloseIcon />
      </button>
    </li>
  );
}

function stageText({ facts, size }: Document, texts: Texts): string {
  const received = formatSize(facts.receivedBytes, texts.code);
  const tokens = formatCount(facts.tokens, texts.code);
  switch (facts.stage) {
    case "uploading":
      return size === null ? texts.documentWaiting(received) : texts.documentUploading(received, formatSize(size, texts.code));
    case "reading":
      return texts.documentReading(formatCount(facts.readTokens, texts.code), tokens);
    case "ready":
      return texts.documentReady(tokens);
    case "failed":
      return texts.documentFailed;
  }
}

/** From 0 to 1. */
function share({ facts, size }: Document): number {
  if (facts.stage === "uploading") return size === null || size === 0 ? 0 : facts.receivedBytes / size;
  return facts.tokens === 0 ? 0 : facts.readTokens / facts.tokens;
}
