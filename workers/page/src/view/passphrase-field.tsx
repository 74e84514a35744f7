import { useId } from "preact/hooks";
import { useApp } from "./context.ts";

interface PassphraseFieldProps {
  readonly value: string;
  readonly hint: string;
  /** Whether it is a new one, which a password manager may propose. */
  readonly fresh: boolean;
  readonly onInput: (value: string) => void;
}

export function PassphraseField({ value, hint, fresh, onInput }: PassphraseFieldProps) {
  const { texts } = useApp();
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{texts.passphrase}</label>
      <input
        id={id}
        class="input"
        type="password"
        autoComplete={fresh ? "new-password" : "current-password"}
        value={value}
        aria-describedby={`${id}-hint`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    </div>
  );
}
