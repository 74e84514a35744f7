import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { conversationAsJson, conversationAsMarkdown, fileName } from "../state/export.ts";
import { conversationTitle, isRunning } from "../state/selectors.ts";
import type { Conversation } from "../state/types.ts";
import { isComposing } from "./composition.ts";
import { useApp } from "./context.ts";
import { downloadText } from "./download.ts";
import { ExportPanel } from "./export-panel.tsx";
import { DocumentIcon, ForkIcon } from "./icons.tsx";
import { Menu } from "./menu.tsx";

interface ConversationRowProps {
  readonly conversation: Conversation;
  readonly current: boolean;
  readonly onChosen: () => void;
}

export function ConversationRow({ conversation, current, onChosen }: ConversationRowProps) {
  const { texts, actions } = useApp();
  const [renaming, setRenaming] = useState(false);
  const [exporting, setExporting] = useState(false);
  const title = conversationTitle(conversation) ?? texts.untitled;

  if (renaming) {
    return (
      <li class="row">
        <NameField
          name={title}
          label={texts.renameLabel}
          onDone={(name) => {
            if (name !== null && name !== title) actions.rename(conversation.id, name);
            setRenaming(false);
          }}
        />
      </li>
    );
  }
  return (
    <li class="row" data-current={current}>
      <button
        type="button"
        class="row-open"
        aria-current={current ? "true" : undefined}
        onClick={() => {
          actions.open(conversation.id);
          onChosen();
        }}
      >
        {conversation.document === undefined ? null : (
          <span class="row-mark" role="img" aria-label={texts.aboutDocument(conversation.document.name)}>
            <DocumentIcon />
          </span>
        )}
        {conversation.forked === true ? (
          <span class="row-mark" role="img" aria-label={texts.forked}>
            <ForkIcon />
          </span>
        ) : null}
        <span class="row-title" dir="auto">
          {title}
        </span>
        {isRunning(conversation) ? <span class="pulse" role="img" aria-label={texts.answering} /> : null}
      </button>
      <Menu
        label={texts.moreActions(title)}
        items={[
          { label: texts.rename, run: () => setRenaming(true) },
          {
            label: texts.exportMarkdown,
            run: () =>
              downloadText(
                fileName(title, "md"),
                "text/markdown",
                conversationAsMarkdown(conversation, title, { system: texts.system, user: texts.you }),
              ),
          },
          {
            label: texts.exportJson,
            run: () => downloadText(fileName(title, "json"), "application/json", conversationAsJson(conversation, title)),
          },
          ...(conversation.session === undefined ? [] : [{ label: texts.exportFile, run: () => setExporting(true) }]),
          { label: texts.remove, danger: true, run: () => actions.remove(conversation.id) },
        ]}
      />
      {exporting ? <ExportPanel conversation={conversation} title={title} onClose={() => setExporting(false)} /> : null}
    </li>
  );
}

interface NameFieldProps {
  readonly name: string;
  readonly label: string;
  /** Null leaves the name as it is. */
  readonly onDone: (name: string | null) => void;
}

function NameField({ name, label, onDone }: NameFieldProps) {
  const [value, setValue] = useState(name);
  const input = useRef<HTMLInputElement>(null);
  // Before the next key can arrive: it replaces the name.
  useLayoutEffect(() => input.current?.select(), []);
  return (
    <input
      ref={input}
      class="row-name"
      dir="auto"
      value={value}
      aria-label={label}
      maxLength={120}
      onInput={(event) => setValue(event.currentTarget.value)}
      onBlur={() => onDone(value)}
      onKeyDown={(event) => {
        if (isComposing(event)) return;
        if (event.key === "Enter") onDone(value);
        if (event.key !== "Escape") return;
        // This Esc is spent: it must neither close the drawer nor stop an answer.
        event.preventDefault();
        event.stopPropagation();
        onDone(null);
      }}
    />
  );
}
