import { useId, useState } from "preact/hooks";
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { FailureNote } from "./failure-note.tsx";
import { PassphraseField } from "./passphrase-field.tsx";
import { useAttempt } from "./use-attempt.ts";

export function ImportPanel({ onClose }: { readonly onClose: () => void }) {
  const { texts, actions } = useApp();
  const [file, setFile] = useState<File | null>(null);
  const [passphrase, setPassphrase] = useState("");
  const { busy, failure, run } = useAttempt();
  const id = useId();
  return (
    <Dialog kind="window" title={texts.importFile} onClose={onClose}>
      <p class="panel-intro">{texts.importIntro}</p>
      <form
        class="panel-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (file !== null) run(() => actions.sharing.importFile(file, passphrase), onClose);
        }}
      >
        <div class="field">
          <label for={id}>{texts.importFileLabel}</label>
          <input id={id} class="input" type="file" onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)} />
        </div>
        <PassphraseField value={passphrase} hint={texts.importPassphraseHint} fresh={false} onInput={setPassphrase} />
        {failure === null ? null : <FailureNote failure={failure} onRetry={null} />}
        <button type="submit" class="button primary" disabled={busy || file === null} aria-busy={busy}>
          {texts.importAction}
        </button>
      </form>
    </Dialog>
  );
}
