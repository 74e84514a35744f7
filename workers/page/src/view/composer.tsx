import type { RefObject } from "preact";
import type { Texts } from "../language/english.ts";
import { answersHere, canSend, currentConversation, isRunning } from "../state/selectors.ts";
import type { State } from "../state/types.ts";
import { useApp } from "./context.ts";
import { ContextMeter } from "./context-meter.tsx";
import { DocumentIcon, SendIcon, StopIcon } from "./icons.tsx";
import { formatParameters } from "./format.ts";
import { TextBox } from "./text-box.tsx";

interface ComposerProps {
  readonly box: RefObject<HTMLTextAreaElement | null>;
  readonly draft: string;
  readonly onDraft: (draft: string) => void;
  readonly onSend: () => void;
  readonly onEditLast: () => void;
  /** The draft is to be a document, to ask about. */
  readonly onDocument: () => void;
}

/** A draft this long is hardly a question. */
const longDraftCharacters = 8_000;

export function Composer({ box, draft, onDraft, onSend, onEditLast, onDocument }: ComposerProps) {
  const { state, texts, actions } = useApp();
  const running = isRunning(currentConversation(state));
  const sends = canSend(state);
  const parameters = state.model?.parameters ?? null;
  const size = parameters === null ? null : formatParameters(parameters, texts.code);
  return (
    <form
      class="composer column"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <div class="composer-box">
        <TextBox
          element={box}
          value={draft}
          label={texts.inputLabel}
          placeholder={texts.inputPlaceholder}
          onInput={onDraft}
          onSubmit={onSend}
          onKeyDown={(event) => {
            if (event.key !== "ArrowUp" || draft !== "" || event.isComposing) return;
            event.preventDefault();
            onEditLast();
          }}
        />
        <div class="composer-foot">
          <ContextMeter draft={draft} />
          {draft.length >= longDraftCharacters ? (
            <button type="button" class="button make-document" onClick={onDocument}>
              <DocumentIcon />
              {texts.makeDocument}
            </button>
          ) : null}
          {running ? (
            <button type="button" class="send" aria-label={texts.stop} title={`${texts.stop} (Esc)`} onClick={actions.stop}>
              <StopIcon />
            </button>
          ) : (
            <button
              type="submit"
              class="send"
              aria-label={texts.send}
              title={sends ? texts.send : texts.sendOffline}
              disabled={draft.trim() === "" || !sends}
            >
              <SendIcon />
            </button>
          )}
        </div>
      </div>
      <p class="note" role={sends ? undefined : "status"}>
        {sends ? noteOf(state, texts)(size) : texts.sendOffline}
      </p>
    </form>
  );
}

function noteOf(state: State, texts: Texts): Texts["note"] {
  if (answersHere(state)) return texts.noteOnDevice;
  return state.model?.poolOnly === true ? texts.noteOfPool : texts.note;
}
