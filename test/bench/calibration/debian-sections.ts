/**
 * A labelled set that everybody with Debian has: short descriptions of packages, and the section that Debian's archive keeps each in. `apt-cache
 * dumpavail` prints them; none of it is copied here.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { seeded } from "../../workers/support/dice.ts";

/** Sections that say what a package is about, with what Debian means by them; others (`libs`, `devel`, `misc`) say how it is made. */
export const sections = {
  database: "databases and programs that work with them",
  editors: "programs to write and edit texts with",
  fonts: "typefaces",
  games: "games and toys",
  graphics: "programs and libraries for pictures",
  mail: "programs for electronic mail",
  math: "mathematics",
  sound: "music and other sound",
} as const;
export type Section = keyof typeof sections;
export const sectionNames = Object.keys(sections) as readonly Section[];

export interface LabelledPackage {
  readonly description: string;
  readonly section: Section;
  /** Of which a predicate asks: of half of the packages their own, of the others another one. */
  readonly asked: Section;
}

export interface LabelledSet {
  readonly packages: readonly LabelledPackage[];
  /** Hex, of the packages that were taken. */
  readonly digest: string;
}

/** As many packages of each section, in an order of chance, the same for the same archive. */
export function debianSections(packagesEach: number): LabelledSet {
  const dice = seeded(1);
  const bySection = new Map<Section, string[]>(sectionNames.map((name) => [name, []]));
  for (const { section, description } of described()) bySection.get(section)?.push(description);
  const packages: LabelledPackage[] = [];
  for (const [section, descriptions] of bySection) {
    if (descriptions.length < packagesEach)
      throw new Error(
        `"${section}" has ${String(descriptions.length)} packages; ${String(packagesEach)} are needed. Is \`apt-get update\` done?`,
      );
    for (let taken = 0; taken < packagesEach; taken += 1) {
      const [description = ""] = descriptions.splice(dice.below(descriptions.length), 1);
      const others = sectionNames.filter((name) => name !== section);
      packages.push({ description, section, asked: taken % 2 === 0 ? section : dice.of(others) });
    }
  }
  const shuffled: LabelledPackage[] = [];
  while (packages.length > 0) shuffled.push(...packages.splice(dice.below(packages.length), 1));
  return { packages: shuffled, digest: createHash("sha256").update(JSON.stringify(shuffled)).digest("hex") };
}

/** One package of each source, and no two with the same description. */
function described(): { readonly section: Section; readonly description: string }[] {
  const text = execFileSync("apt-cache", ["dumpavail"], { encoding: "utf8", maxBuffer: 2 ** 30 });
  const seen = new Set<string>();
  return text
    .split("\n\n")
    .flatMap((stanza) => {
      const field = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(stanza)?.[1];
      const [name = "", section = "", description = ""] = ["Package", "Section", "Description"].map(field);
      const source = (field("Source") ?? name).split(" ")[0] ?? "";
      return isSection(section) && description.includes(" ") ? [{ name, source, section, description }] : [];
    })
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .filter(({ source, description }) => {
      const isNew = !seen.has(source) && !seen.has(description);
      seen.add(source).add(description);
      return isNew;
    });
}

const isSection = (name: string): name is Section => Object.hasOwn(sections, name);
