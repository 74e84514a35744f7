import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { useApp } from "./context.ts";
import { CloseIcon } from "./icons.tsx";

interface DialogProps {
  readonly kind: "window" | "sheet" | "drawer";
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog: the browser keeps the focus inside, closes it on Esc and gives the focus back afterwards. */
export function Dialog({ kind, title, onClose, children }: DialogProps) {
  const { texts } = useApp();
  const element = useRef<HTMLDialogElement>(null);
  const shown = useRef(true);
  const titleId = useId();
  // Before the next key can arrive: an Esc pressed right after the click belongs to the dialog.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => {
      shown.current = false;
      dialog?.close();
    };
  }, []);
  return (
    <dialog
      ref={element}
      // Esc: closed here and now. The browser would tell of it late only, after what was done next: a file dropped on the page meanwhile
      // would open a panel that is then closed. A file chooser's cancel bubbles, and is not meant.
      onCancel={(event) => {
        if (event.target !== element.current || !event.cancelable) return;
        event.preventDefault();
        onClose();
      }}
      class={`dialog dialog-${kind}`}
      aria-labelledby={titleId}
      // The browser tells of it late: one that made way for another dialog must not close that one.
      onClose={() => shown.current && onClose()}
      // The backdrop belongs to the dialog element itself; everything visible is inside its only child.
      onClick={(event) => event.target === element.current && onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button type="button" class="icon-button" aria-label={texts.close} onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
