import { useId, useState } from "preact/hooks";
import { useApp } from "./context.ts";

/** Longest name that the server takes for a session or a context. */
const nameLength = 120;

/** A file to choose, or a text to paste. */
export function DocumentForm({ pasted, onAdded }: { readonly pasted: string; readonly onAdded: (() => void) | null }) {
  const { texts, actions } = useApp();
  const [text, setText] = useState(pasted);
  const [name, setName] = useState("");
  const id = useId();

  function add(name: string, content: Blob): void {
    actions.documents.add(name.slice(0, nameLength), content);
  }

  return (
    <form
      class="panel-form"
      onSubmit={(event) => {
        event.preventDefault();
        add(name.trim() || texts.documentPasted, new Blob([text]));
        setText("");
        setName("");
        onAdded?.();
      }}
    >
      <div class="field">
        <label for={`${id}-file`}>{texts.documentChoose}</label>
        <input
          id={`${id}-file`}
          class="input"
          type="file"
          accept="text/*,.txt,.md,.csv,.json,.log,.xml,.html"
          multiple
          onChange={(event) => {
            for (const file of event.currentTarget.files ?? []) add(file.name, file);
            event.currentTarget.value = "";
          }}
        />
      </div>
      <details open={pasted !== ""}>
        <summary>{texts.documentPaste}</summary>
        <div class="field">
          <label for={`${id}-name`}>{texts.documentName}</label>
          <input
            id={`${id}-name`}
            class="input"
            dir={name === "" ? undefined : "auto"}
            value={name}
            maxLength={nameLength}
            placeholder={texts.documentPasted}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for={`${id}-text`}>{texts.documentPasteLabel}</label>
          <textarea
            id={`${id}-text`}
            class="input"
            rows={5}
            dir="auto"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </div>
        <button type="submit" class="button primary" disabled={text.trim() === ""}>
          {texts.documentAdd}
        </button>
      </details>
    </form>
  );
}
