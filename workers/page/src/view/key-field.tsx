import { useId, useState } from "preact/hooks";
import { enteredKey, isSendableKey, visitorKey } from "../api/key.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";

/** Whose conversations these are. What was typed is taken over when the field is left. */
export function KeyField() {
  const { texts, actions } = useApp();
  const [key, setKey] = useState(enteredKey);
  const id = useId();
  const valid = isSendableKey(key.trim());
  return (
    <div class="field key-field">
      <label for={id}>{texts.key}</label>
      <div class="key-row">
        <input
          id={id}
          class="input"
          type="password"
          autoComplete="off"
          spellcheck={false}
          value={key}
          placeholder={texts.keyPlaceholder}
          aria-invalid={!valid}
          aria-describedby={`${id}-hint`}
          onInput={(event) => setKey(event.currentTarget.value)}
          onChange={() => valid && key.trim() !== enteredKey() && actions.changeKey(key.trim())}
        />
        <CopyButton label={texts.keyCopy} text={visitorKey()} />
      </div>
      <p class="hint" id={`${id}-hint`}>
        {valid ? texts.keyHint : texts.keyInvalid}
      </p>
    </div>
  );
}
