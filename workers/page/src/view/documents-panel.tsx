import { useEffect } from "preact/hooks";
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { DocumentForm } from "./document-form.tsx";
import { DocumentRow } from "./document-row.tsx";
import { FailureNote } from "./failure-note.tsx";

interface DocumentsPanelProps {
  /** A text that is to be one; empty where there is none. */
  readonly pasted: string;
  /** That text has been added. */
  readonly onAdded: (() => void) | null;
  readonly onClose: () => void;
}

/** The documents that the server has read, those on their way, and new ones. */
export function DocumentsPanel({ pasted, onAdded, onClose }: DocumentsPanelProps) {
  const { state, texts, actions } = useApp();
  const { notice, documents } = state;
  useEffect(() => actions.dismissNotice, []);
  return (
    <Dialog kind="window" title={texts.documents} onClose={onClose}>
      <p class="panel-intro">
        {texts.documentsIntro} {state.model?.state?.constant === true ? texts.documentsForgetful : texts.documentsLimited}
      </p>
      <DocumentForm pasted={pasted} onAdded={onAdded} />
      {notice?.what === "document" ? <FailureNote failure={notice.failure} onRetry={null} /> : null}
      {documents.length === 0 ? <p class="hint documents-none">{texts.documentsNone}</p> : null}
      <ul class="documents" aria-label={texts.documents}>
        {documents.map((document) => (
          <DocumentRow key={document.facts.id} document={document} onAsk={onClose} />
        ))}
      </ul>
    </Dialog>
  );
}
