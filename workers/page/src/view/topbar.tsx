import { answersHere, canSend, conversationTitle, currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { CodeIcon, MenuIcon, PlusIcon, ShareIcon, SlidersIcon } from "./icons.tsx";

interface TopbarProps {
  readonly onNewChat: () => void;
}

export function Topbar({ onNewChat }: TopbarProps) {
  const { state, texts, openPanel } = useApp();
  return (
    <header class="topbar">
      <button
        type="button"
        class="icon-button small-only"
        aria-label={texts.openMenu}
        title={texts.openMenu}
        onClick={() => openPanel("menu")}
      >
        <MenuIcon />
      </button>
      <div class="topbar-titles">
        <h1 dir="auto">{useTitle()}</h1>
        <ModelName />
      </div>
      <button type="button" class="icon-button small-only" aria-label={texts.newChat} title={texts.newChat} onClick={onNewChat}>
        <PlusIcon />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label={texts.share}
        title={texts.share}
        disabled={currentConversation(state) === null || state.shared !== null}
        onClick={() => openPanel("share")}
      >
        <ShareIcon />
      </button>
      <button type="button" class="icon-button" aria-label={texts.viewCode} title={texts.viewCode} onClick={() => openPanel("code")}>
        <CodeIcon />
      </button>
      <button type="button" class="icon-button" aria-label={texts.settings} title={texts.settings} onClick={() => openPanel("settings")}>
        <SlidersIcon />
      </button>
    </header>
  );
}

function useTitle(): string {
  const { state, texts } = useApp();
  if (state.shared !== null) return state.shared.session?.name || texts.sharedUntitled;
  const conversation = currentConversation(state);
  return conversation === null ? texts.newChat : (conversationTitle(conversation) ?? texts.untitled);
}

/** Where there is a choice, the name leads to it. */
function ModelName() {
  const { state, texts, openPanel } = useApp();
  const status =
    !canSend(state) ||
    (state.model?.status === "unavailable" && !answersHere(state)) ||
    (state.model === null && state.modelFailure !== null)
      ? "failed"
      : state.model === null
        ? "waiting"
        : "ready";
  const name = state.model?.id ?? (status === "failed" ? texts.noModel : texts.connecting);
  return (
    <p class="model" data-status={status} title={state.model?.form ?? undefined}>
      <span class="model-dot" aria-hidden="true" />
      {state.models.length > 1 ? (
        <button type="button" class="model-choice" aria-haspopup="dialog" onClick={() => openPanel("models")}>
          <span class="visually-hidden">{texts.model}: </span>
          {name}
        </button>
      ) : (
        <>
          <span class="visually-hidden">{texts.model}: </span>
          {name}
        </>
      )}
    </p>
  );
}
