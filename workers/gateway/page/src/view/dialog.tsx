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
