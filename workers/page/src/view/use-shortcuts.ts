import { useEffect } from "preact/hooks";

interface Shortcuts {
  readonly stop: () => void;
  readonly newChat: () => void;
  readonly focusInput: () => void;
  readonly showList: () => void;
}

export function useShortcuts(shortcuts: Shortcuts): void {
  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      const key = pressed(event);
      const action = key === null ? null : shortcuts[key];
      if (action === null) return;
      event.preventDefault();
      action();
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  });
}

function pressed(event: KeyboardEvent): keyof Shortcuts | null {
  // An open dialog or menu owns the keyboard: its Esc closes it and stops nothing.
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open], :popover-open") !== null) return null;
  if (event.key === "Escape") return "stop";
  if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "o") return "newChat";
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return null;
  if (event.key === "/") return "focusInput";
  return event.key === "?" ? "showList" : null;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}
