import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { textsOf } from "../language/language.ts";
import type { Actions } from "../state/actions.ts";
import { conversationTitle, currentConversation } from "../state/selectors.ts";
import { useStore, type Store } from "../state/store.ts";
import { Announcer } from "./announcer.tsx";
import { CodePanel } from "./code-panel.tsx";
import { Composer } from "./composer.tsx";
import { AppContextProvider } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { EmptyState } from "./empty-state.tsx";
import { SettingsPanel } from "./settings-panel.tsx";
import { ShortcutsPanel } from "./shortcuts-panel.tsx";
import { Sidebar } from "./sidebar.tsx";
import { Toast } from "./toast.tsx";
import { Topbar } from "./topbar.tsx";
import { Transcript } from "./transcript.tsx";
import { useDocument } from "./use-document.ts";
import { useShortcuts } from "./use-shortcuts.ts";

type Panel = "menu" | "settings" | "code" | "shortcuts";

export function App({ store, actions }: { readonly store: Store; readonly actions: Actions }) {
  const state = useStore(store);
  const texts = textsOf(state.preferences.language);
  const [panel, setPanel] = useState<Panel | null>(null);
  const [draft, setDraft] = useState("");
  const [editingId, setEditingId] = useState<string | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const conversation = currentConversation(state);
  const context = useMemo(() => ({ state, actions, texts }), [state, actions, texts]);
  const closePanel = () => setPanel(null);
  const focusInput = () => box.current?.focus();

  function newChat(): void {
    closePanel();
    actions.newChat();
    focusInput();
  }

  function edit(messageId: string | null): void {
    setEditingId(messageId);
    if (messageId === null) focusInput();
  }

  function send(text: string): void {
    if (text.trim() === "" || conversation?.messages.some(isUnfinished)) return;
    actions.send(text);
    setDraft("");
    focusInput();
  }

  useDocument(state.preferences, conversation === null ? null : conversationTitle(conversation), texts.code);
  useShortcuts({ stop: actions.stop, newChat, focusInput, showList: () => setPanel("shortcuts") });
  useEffect(() => setEditingId(null), [conversation?.id]);

  const sidebar = <Sidebar onNewChat={newChat} onChosen={closePanel} onShortcuts={() => setPanel("shortcuts")} />;
  return (
    <AppContextProvider value={context}>
      <button type="button" class="skip" onClick={focusInput}>
        {texts.skipToInput}
      </button>
      <aside class="sidebar">{sidebar}</aside>
      <main class="main">
        <Topbar
          onMenu={() => setPanel("menu")}
          onNewChat={newChat}
          onCode={() => setPanel("code")}
          onSettings={() => setPanel("settings")}
        />
        {state.online ? null : (
          <p class="banner" role="status">
            {texts.offlineBanner}
          </p>
        )}
        {conversation === null || conversation.messages.length === 0 ? (
          <div class="scroller empty-scroller">
            <EmptyState onPick={send} />
          </div>
        ) : (
          <Transcript key={conversation.id} conversation={conversation} editingId={editingId} onEdit={edit} />
        )}
        <Composer
          box={box}
          draft={draft}
          onDraft={setDraft}
          onSend={() => send(draft)}
          onEditLast={() => setEditingId(conversation?.messages.findLast((message) => message.role === "user")?.id ?? null)}
        />
      </main>
      {panel === "menu" ? (
        <Dialog kind="drawer" title={texts.conversations} onClose={closePanel}>
          {sidebar}
        </Dialog>
      ) : null}
      {panel === "settings" ? <SettingsPanel onClose={closePanel} /> : null}
      {panel === "code" ? <CodePanel draft={draft} onClose={closePanel} /> : null}
      {panel === "shortcuts" ? <ShortcutsPanel onClose={closePanel} /> : null}
      <Toast />
      <Announcer />
    </AppContextProvider>
  );
}

function isUnfinished(message: { readonly role: string; readonly status?: string }): boolean {
  return message.status === "waiting" || message.status === "streaming";
}
