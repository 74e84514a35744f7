import type { ComponentChildren } from "preact";
import { CodePanel } from "./code-panel.tsx";
import { useApp, type Panel } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { DocumentsPanel } from "./documents-panel.tsx";
import { ImportPanel } from "./import-panel.tsx";
import { ModelsPanel } from "./models-panel.tsx";
import { SettingsPanel } from "./settings-panel.tsx";
import { SharePanel } from "./share-panel.tsx";
import { ShortcutsPanel } from "./shortcuts-panel.tsx";

interface PanelsProps {
  readonly open: Panel | null;
  readonly draft: string;
  /** Whether the draft is to be a document. */
  readonly draftIsDocument: boolean;
  readonly onDraftAdded: () => void;
  readonly onClose: () => void;
  /** The sidebar, for screens that have no room beside the page. */
  readonly children: ComponentChildren;
}

export function Panels({ open, draft, draftIsDocument, onDraftAdded, onClose, children }: PanelsProps) {
  const { texts } = useApp();
  switch (open) {
    case null:
      return null;
    case "menu":
      return (
        <Dialog kind="drawer" title={texts.conversations} onClose={onClose}>
          {children}
        </Dialog>
      );
    case "settings":
      return <SettingsPanel onClose={onClose} />;
    case "code":
      return <CodePanel draft={draft} onClose={onClose} />;
    case "shortcuts":
      return <ShortcutsPanel onClose={onClose} />;
    case "share":
      return <SharePanel onClose={onClose} />;
    case "documents":
      return <DocumentsPanel pasted={draftIsDocument ? draft : ""} onAdded={draftIsDocument ? onDraftAdded : null} onClose={onClose} />;
    case "import":
      return <ImportPanel onClose={onClose} />;
    case "models":
      return <ModelsPanel onClose={onClose} />;
  }
}
