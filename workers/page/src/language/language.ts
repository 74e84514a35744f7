import type { Language } from "./choice.ts";
import { english, type Texts } from "./english.ts";
import { chinese } from "./chinese.ts";

const texts: Readonly<Record<Language, Texts>> = { en: english, zh: chinese };

export function textsOf(language: Language): Texts {
  return texts[language];
}
