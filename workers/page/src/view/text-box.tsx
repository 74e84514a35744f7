import type { RefObject, TargetedKeyboardEvent } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { isComposing } from "./composition.ts";

interface TextBoxProps {
  readonly element: RefObject<HTMLTextAreaElement | null>;
  readonly value: string;
  readonly label: string;
  readonly placeholder?: string;
  readonly onInput: (value: string) => void;
  /** Enter without Shift, outside an input method's composition. */
  readonly onSubmit: () => void;
  readonly onKeyDown?: (event: TargetedKeyboardEvent<HTMLTextAreaElement>) => void;
}

/** A text area that grows with its text up to the height its style allows. */
export function TextBox({ element, value, label, placeholder, onInput, onSubmit, onKeyDown }: TextBoxProps) {
  useLayoutEffect(() => {
    const area = element.current;
    if (area === null) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [value]);
  return (
    <textarea
      ref={element}
      class="text-box"
      // An empty box follows the page, for its placeholder.
      dir={value === "" ? undefined : "auto"}
      rows={1}
      value={value}
      aria-label={label}
      placeholder={placeholder ?? ""}
      onInput={(event) => onInput(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) {
          event.preventDefault();
          onSubmit();
        } else onKeyDown?.(event);
      }}
    />
  );
}
