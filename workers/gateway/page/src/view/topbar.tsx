import { conversationTitle, currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { CodeIcon, MenuIcon, PlusIcon, SlidersIcon } from "./icons.tsx";

interface TopbarProps {
  readonly onMenu: () => void;
  readonly onNewChat: () => void;
  readonly onCode: () => void;
  readonly onSettings: () => void;
}

export function Topbar({ onMenu, onNewChat, onCode, onSettings }: TopbarProps) {
  const { state, texts } = useApp();
  const conversation = currentConversation(state);
  const title = conversation === null ? texts.newChat : (conversationTitle(conversation) ?? texts.untitled);
  return (
    <header class="topbar">
      <button type="button" class="icon-button small-only" aria-label={texts.openMenu} title={texts.openMenu} onClick={onMenu}>
        <MenuIcon />
      </button>
      <div class="topbar-titles">
        <h1>{title}</h1>
        <ModelName />
      </div>
      <button type="button" class="icon-button small-only" aria-label={texts.newChat} title={texts.newChat} onClick={onNewChat}>
        <PlusIcon />
      </button>
      <button type="button" class="icon-button" aria-label={texts.viewCode} title={texts.viewCode} onClick={onCode}>
        <CodeIcon />
      </button>
      <button type="button" class="icon-button" aria-label={texts.settings} title={texts.settings} onClick={onSettings}>
        <SlidersIcon />
      </button>
    </header>
  );
}

function ModelName() {
  const { state, texts } = useApp();
  const status =
    !state.online || (state.model === null && state.modelFailure !== null) ? "failed" : state.model === null ? "waiting" : "ready";
  return (
    <p class="model" data-status={status} title={state.model?.form ?? undefined}>
      <span class="model-dot" aria-hidden="true" />
      <span class="visually-hidden">{texts.model}: </span>
      {state.model?.id ?? (status === "failed" ? texts.noModel : texts.connecting)}
    </p>
  );
}
