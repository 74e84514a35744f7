import { useEffect, useState } from "preact/hooks";
import { useApp } from "./context.ts";
import { CheckIcon, CopyIcon } from "./icons.tsx";

/** How long a button says that it has copied. */
export const copiedMs = 1_600;

interface CopyButtonProps {
  readonly label: string;
  readonly text: string;
}

export function CopyButton({ label, text }: CopyButtonProps) {
  const { texts } = useApp();
  const [result, setResult] = useState<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (result === null) return undefined;
    const timer = setTimeout(() => setResult(null), copiedMs);
    return () => clearTimeout(timer);
  }, [result]);
  const shown = result === null ? label : result === "copied" ? texts.copied : texts.copyFailed;
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={shown}
      title={shown}
      onClick={() => {
        navigator.clipboard.writeText(text).then(
          () => setResult("copied"),
          () => setResult("failed"),
        );
      }}
    >
      {result === "copied" ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}
