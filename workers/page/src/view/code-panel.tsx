import { useState } from "preact/hooks";
import { codeExample, type ExampleLanguage } from "../api/code-example.ts";
import { currentKey } from "../api/key.ts";
import { nextTurn } from "../state/next-turn.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";
import { Dialog } from "./dialog.tsx";

const languages: readonly (readonly [ExampleLanguage, string])[] = [
  ["curl", "curl"],
  ["javascript", "JavaScript"],
  ["python", "Python"],
];

export function CodePanel({ draft, onClose }: { readonly draft: string; readonly onClose: () => void }) {
  const { state, texts } = useApp();
  const [language, setLanguage] = useState<ExampleLanguage>("curl");
  const plan = nextTurn(state, draft, texts.examples[0]?.prompt ?? "");
  const code = plan === null ? null : codeExample(language, location.origin, plan);
  return (
    <Dialog kind="window" title={texts.codeTitle} onClose={onClose}>
      <p class="panel-intro">{texts.codeIntro}</p>
      <div class="code-bar">
        <div class="choice" role="group" aria-label={texts.language}>
          {languages.map(([value, label]) => (
            <button key={value} type="button" aria-pressed={value === language} onClick={() => setLanguage(value)}>
              {label}
            </button>
          ))}
        </div>
        {code === null ? null : <CopyButton label={texts.copy} text={code} />}
      </div>
      {code === null ? (
        <p>{texts.codeNoModel}</p>
      ) : (
        <pre class="example-code" dir="ltr" tabIndex={0} aria-label={language}>
          {code}
        </pre>
      )}
      <p class="code-key hint">
        {texts.codeKey}
        <CopyButton label={texts.codeKeyCopy} text={currentKey()} />
      </p>
    </Dialog>
  );
}
