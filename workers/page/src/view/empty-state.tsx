import { Logo } from "./logo.tsx";
import { canSend } from "../state/selectors.ts";
import { useApp } from "./context.ts";

export function EmptyState({ onPick }: { readonly onPick: (prompt: string) => void }) {
  const { state, texts } = useApp();
  if (state.about !== null)
    return (
      <section class="empty">
        <Logo class="empty-logo" />
        <h2 dir="auto">{texts.aboutTitle(state.about.name)}</h2>
        <p class="empty-intro">{texts.aboutIntro}</p>
      </section>
    );
  return (
    <section class="empty">
      <Logo class="empty-logo" />
      <h2>{texts.emptyTitle}</h2>
      <p class="empty-intro">{texts.emptyIntro}</p>
      <ul class="examples" aria-label={texts.examplesLabel}>
        {texts.examples.map((example) => (
          <li key={example.prompt}>
            <button type="button" class="example" disabled={!canSend(state)} onClick={() => onPick(example.prompt)}>
              <span class="example-title">{example.title}</span>
              <span class="example-prompt" lang="en">
                {example.prompt}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
