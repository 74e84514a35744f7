import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { textsOf } from "../language/language.ts";
import type { Actions } from "../state/actions.ts";
import { canSend, conversationTitle, currentConversation, isRunning } from "../state/selectors.ts";
import { useStore, type Store } from "../state/store.ts";
import { Announcer } from "./announcer.tsx";
import { Banners } from "./banners.tsx";
import { Composer } from "./composer.tsx";
import { AppContextProvider, type Panel } from "./context.ts";
import { EmptyState } from "./empty-state.tsx";
import { Panels } from "./panels.tsx";
import { SharedConversation } from "./shared-conversation.tsx";
import { Sidebar } from "./sidebar.tsx";
import { Toast } from "./toast.tsx";
import { Topbar } from "./topbar.tsx";
import { Transcript } from "./transcript.tsx";
import { useDocument } from "./use-document.ts";
import { useDrop } from "./use-drop.ts";
import { useShortcuts } from "./use-shortcuts.ts";

export function App({ store, actions }: { readonly store: Store; readonly actions: Actions }) {
  const state = useStore(store);
  const texts = textsOf(state.preferences.language);
  const [panel, setPanel] = useState<Panel | null>(null);
  const [draft, setDraft] = useState("");
  const [draftIsDocument, setDraftIsDocument] = useState(false);
  const [editingId, setEditingId] = useState<string | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const conversation = currentConversation(state);
  const context = useMemo(() => ({ state, actions, texts, openPanel: setPanel }), [state, actions, texts]);
  const focusInput = () => box.current?.focus();

  function closePanel(): void {
    setPanel(null);
    setDraftIsDocument(false);
  }

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
    if (text.trim() === "" || isRunning(conversation) || !canSend(state)) return;
    actions.send(text);
    setDraft("");
    focusInput();
  }

  function makeDocument(): void {
    setDraftIsDocument(true);
    setPanel("documents");
  }

  useDocument(state.preferences, conversation === null ? null : conversationTitle(conversation), texts.code);
  useShortcuts({ stop: actions.stop, newChat, focusInput, showList: () => setPanel("shortcuts") });
  useEffect(() => setEditingId(null), [conversation?.id]);
  const dropping = useDrop((files) => {
    for (const file of files) actions.documents.add(file.name, file);
    setPanel("documents");
  });

  const sidebar = <Sidebar onNewChat={newChat} onChosen={closePanel} />;
  const empty = conversation === null || (conversation.messages.length === 0 && conversation.behind !== true);
  return (
    <AppContextProvider value={context}>
      <button type="button" class="skip" onClick={focusInput}>
        {texts.skipToInput}
      </button>
      <aside class="sidebar">{sidebar}</aside>
      <main class="main">
        <Topbar onNewChat={newChat} />
        <Banners />
        {state.shared === null ? (
          <>
            {empty ? (
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
              onDocument={makeDocument}
            />
          </>
        ) : (
          <SharedConversation key={state.shared.id} shared={state.shared} />
        )}
        {dropping ? <p class="drop-hint">{texts.documentDrop}</p> : null}
      </main>
      <Panels open={panel} draft={draft} draftIsDocument={draftIsDocument} onDraftAdded={() => setDraft("")} onClose={closePanel}>
        {sidebar}
      </Panels>
      <Toast />
      <Announcer />
    </AppContextProvider>
  );
}
