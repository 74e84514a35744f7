import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { canSend } from "../state/selectors.ts";
import type { Message, UserMessage as UserMessageState } from "../state/types.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";
import { EditIcon } from "./icons.tsx";
import { TextBox } from "./text-box.tsx";
import { VersionSwitch } from "./version-switch.tsx";

interface UserMessageProps {
  readonly message: UserMessageState;
  readonly editing: boolean;
  readonly versions: readonly Message[];
  /** Whether the conversation is being answered. */
  readonly running: boolean;
  readonly onEdit: (messageId: string | null) => void;
}

export function UserMessage({ message, editing, versions, running, onEdit }: UserMessageProps) {
  const { texts } = useApp();
  return (
    <article class="message user" data-editing={editing}>
      <h2 class="visually-hidden">{texts.you}</h2>
      {editing ? (
        <Editor message={message} onDone={() => onEdit(null)} />
      ) : (
        <div class="bubble" dir="auto">
          {message.text}
        </div>
      )}
      {editing ? null : (
        <footer class="message-foot">
          <button type="button" class="icon-button" aria-label={texts.edit} title={texts.edit} onClick={() => onEdit(message.id)}>
            <EditIcon />
          </button>
          <CopyButton label={texts.copyMessage} text={message.text} />
          <VersionSwitch message={message} versions={versions} disabled={running} />
        </footer>
      )}
    </article>
  );
}

function Editor({ message, onDone }: { readonly message: UserMessageState; readonly onDone: () => void }) {
  const { state, texts, actions } = useApp();
  const [text, setText] = useState(message.text);
  const area = useRef<HTMLTextAreaElement>(null);
  // Before the next key can arrive: what is typed right after the click belongs where it lands.
  useLayoutEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);

  function submit(): void {
    if (text.trim() === "" || !canSend(state)) return;
    actions.edit(message.id, text);
    onDone();
  }

  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <TextBox
        element={area}
        value={text}
        label={texts.editMessage}
        onInput={setText}
        onSubmit={submit}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || event.isComposing) return;
          // This Esc is spent: it must not also stop an answer.
          event.stopPropagation();
          onDone();
        }}
      />
      <p class="editor-note">{canSend(state) ? texts.editNote : texts.sendOffline}</p>
      <div class="editor-buttons">
        <button type="button" class="button" onClick={onDone}>
          {texts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={text.trim() === "" || !canSend(state)}>
          {texts.saveAndSend}
        </button>
      </div>
    </form>
  );
}
