import { languages } from "../language/choice.ts";
import { textsOf } from "../language/language.ts";
import type { Theme } from "../state/types.ts";
import { useApp } from "./context.ts";
import { ConversationRow } from "./conversation-row.tsx";
import { DocumentIcon, PlusIcon } from "./icons.tsx";
import { Logo } from "./logo.tsx";

interface SidebarProps {
  readonly onNewChat: () => void;
  /** After something was chosen: the drawer of a small screen closes. */
  readonly onChosen: () => void;
}

const themes: readonly Theme[] = ["system", "light", "dark"];

export function Sidebar({ onNewChat, onChosen }: SidebarProps) {
  const { state, texts, actions, openPanel } = useApp();
  const { preferences } = state;
  return (
    <div class="sidebar-content">
      <div class="brand">
        <Logo />
        <span>{texts.productName}</span>
      </div>
      <button type="button" class="button new-chat" onClick={onNewChat}>
        <PlusIcon />
        {texts.newChat}
      </button>
      <button type="button" class="quiet-button documents-button" onClick={() => openPanel("documents")}>
        <DocumentIcon />
        {texts.documents}
      </button>
      <nav class="conversations" aria-label={texts.conversations}>
        {state.conversations.length === 0 ? <p class="conversations-none">{texts.noConversations}</p> : null}
        <ul>
          {state.conversations.map((conversation) => (
            <ConversationRow
              key={conversation.id}
              conversation={conversation}
              current={conversation.id === state.currentId && state.shared === null}
              onChosen={onChosen}
            />
          ))}
        </ul>
      </nav>
      <div class="sidebar-foot">
        <Choice
          label={texts.theme}
          options={themes.map((theme) => ({ value: theme, label: texts.themes[theme] }))}
          value={preferences.theme}
          onChange={(theme) => actions.changePreferences({ theme })}
        />
        <Choice
          label={texts.language}
          options={languages.map((language) => ({ value: language, label: textsOf(language).languageName }))}
          value={preferences.language}
          onChange={(language) => actions.changePreferences({ language })}
        />
        <button type="button" class="quiet-button" onClick={() => openPanel("import")}>
          {texts.importFile}
        </button>
        <button type="button" class="quiet-button" onClick={() => openPanel("shortcuts")}>
          {texts.shortcuts}
          <kbd>?</kbd>
        </button>
      </div>
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly options: readonly { readonly value: Value; readonly label: string }[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}

function Choice<Value extends string>({ label, options, value, onChange }: ChoiceProps<Value>) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.value} type="button" aria-pressed={option.value === value} onClick={() => onChange(option.value)}>
          {option.label}
        </button>
      ))}
    </div>
  );
}
