import { useLayoutEffect } from "preact/hooks";
import { textsOf } from "../language/language.ts";
import type { Preferences } from "../state/types.ts";

/** Keeps what lies outside the components in step: language, theme and title of the document. */
export function useDocument({ language, theme }: Preferences, title: string | null, code: string): void {
  useLayoutEffect(() => {
    document.documentElement.lang = code === "zh" ? "zh-Hans" : code;
  }, [code]);
  useLayoutEffect(() => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  useLayoutEffect(() => {
    const { productName } = textsOf(language);
    document.title = title === null ? productName : `${title} · ${productName}`;
  }, [title, language]);
}
