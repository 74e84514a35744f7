import { conversationTitle } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { CloseIcon } from "./icons.tsx";

/** Offers to bring the last deleted conversation back, in place of a question before every deletion; tells of what went wrong beside the conversation. Documents have a place of their own for that. */
export function Toast() {
  const { state, texts, actions } = useApp();
  return (
    <div class="toasts" role="status">
      {state.deleted === null ? null : (
        <div class="toast">
          <span dir="auto">{texts.deleted(conversationTitle(state.deleted) ?? texts.untitled)}</span>
          <button type="button" class="toast-action" onClick={actions.undoRemove}>
            {texts.undo}
          </button>
          <button type="button" class="icon-button" aria-label={texts.dismiss} onClick={actions.dismissUndo}>
            <CloseIcon />
          </button>
        </div>
      )}
      {state.notice === null || state.notice.what === "document" ? null : (
        <div class="toast">
          <span>{`${texts.notices[state.notice.what]} ${texts.failures[state.notice.failure.kind].advice || (state.notice.failure.message ?? "")}`}</span>
          <button type="button" class="icon-button" aria-label={texts.dismiss} onClick={actions.dismissNotice}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
