import { conversationTitle } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { CloseIcon } from "./icons.tsx";

/** Offers to bring the last deleted conversation back, in place of a question before every deletion. */
export function Toast() {
  const { state, texts, actions } = useApp();
  return (
    <div class="toasts" role="status">
      {state.deleted === null ? null : (
        <div class="toast">
          <span>{texts.deleted(conversationTitle(state.deleted) ?? texts.untitled)}</span>
          <button type="button" class="toast-action" onClick={actions.undoRemove}>
            {texts.undo}
          </button>
          <button type="button" class="icon-button" aria-label={texts.dismiss} onClick={actions.dismissUndo}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
