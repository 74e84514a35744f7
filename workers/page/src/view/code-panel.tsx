import { useState } from "preact/hooks";
import { chatMessages, chatRequest } from "../api/chat-request.ts";
import { codeExample, type ExampleLanguage } from "../api/code-example.ts";
import { currentConversation, currentSettings } from "../state/selectors.ts";
import type { State } from "../state/types.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";
import { Dialog } from "./dialog.tsx";

const LANGUAGES: readonly (readonly [ExampleLanguage, string])[] = [
  ["curl", "curl"],
  ["javascript", "JavaScript"],
  ["python", "Python"],
];

export function CodePanel({ draft, onClose }: { readonly draft: string; readonly onClose: () => void }) {
  const { state, texts } = useApp();
  const [language, setLanguage] = useState<ExampleLanguage>("curl");
  const code = codeExample(language, location.origin, nextRequest(state, draft, texts.examples[0]?.prompt ?? ""));
  return (
    <Dialog kind="window" title={texts.codeTitle} onClose={onClose}>
      <p class="panel-intro">{texts.codeIntro}</p>
      <div class="code-bar">
        <div class="choice" role="group" aria-label={texts.language}>
          {LANGUAGES.map(([value, label]) => (
            <button key={value} type="button" aria-pressed={value === language} onClick={() => setLanguage(value)}>
              {label}
            </button>
          ))}
        </div>
        <CopyButton label={texts.copy} text={code} />
      </div>
      <pre class="example-code" tabIndex={0} aria-label={language}>
        {code}
      </pre>
    </Dialog>
  );
}

/** With the draft where there is one; else the question that the last answer belongs to; else an example, so that the code always runs. */
function nextRequest(state: State, draft: string, example: string) {
  const settings = currentSettings(state);
  const turns = [...(currentConversation(state)?.messages ?? [])];
  if (draft.trim() !== "") turns.push({ id: "", role: "user", text: draft.trim() });
  else if (turns.at(-1)?.role === "assistant") turns.pop();
  if (turns.length === 0) turns.push({ id: "", role: "user", text: example });
  const reportState = (state.model?.state ?? null) !== null;
  return chatRequest(state.model?.id ?? "model", chatMessages(settings.system, turns), settings, { reportState });
}
