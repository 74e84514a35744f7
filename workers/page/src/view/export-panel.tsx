import { useState } from "preact/hooks";
import { fileName } from "../state/export.ts";
import type { Conversation } from "../state/types.ts";
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { download } from "./download.ts";
import { FailureNote } from "./failure-note.tsx";
import { PassphraseField } from "./passphrase-field.tsx";
import { useAttempt } from "./use-attempt.ts";

interface ExportPanelProps {
  readonly conversation: Conversation;
  readonly title: string;
  readonly onClose: () => void;
}

export function ExportPanel({ conversation, title, onClose }: ExportPanelProps) {
  const { texts, actions } = useApp();
  const [passphrase, setPassphrase] = useState("");
  const { busy, failure, run } = useAttempt();
  const save = (file: Blob) => download(fileName(title, "sbsf"), file);
  return (
    <Dialog kind="window" title={texts.exportTitle} onClose={onClose}>
      <p class="panel-intro">{texts.exportIntro}</p>
      <form
        class="panel-form"
        onSubmit={(event) => {
          event.preventDefault();
          run(() => actions.sharing.exportFile(conversation, passphrase, save), onClose);
        }}
      >
        <PassphraseField value={passphrase} hint={texts.exportPassphraseHint} fresh onInput={setPassphrase} />
        {failure === null ? null : <FailureNote failure={failure} onRetry={null} />}
        <button type="submit" class="button primary" disabled={busy} aria-busy={busy}>
          {texts.exportAction}
        </button>
      </form>
    </Dialog>
  );
}
