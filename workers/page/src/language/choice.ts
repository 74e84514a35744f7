export type Language = "en" | "zh";

export const languages: readonly Language[] = ["en", "zh"];

/** The first language the person reads that this page speaks; English for everyone else. */
export function preferredLanguage(accepted: readonly string[]): Language {
  for (const tag of accepted) {
    const primary = tag.toLowerCase().split("-")[0];
    const known = languages.find((language) => language === primary);
    if (known !== undefined) return known;
  }
  return "en";
}
