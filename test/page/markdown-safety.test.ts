import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { marked } from "marked";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPage } from "../../workers/page/build.mjs";
import { attacks } from "./support/attacks.ts";
import { ask, lastAnswer } from "./support/chat-page.ts";
import { startFakeApi, type FakeApi } from "./support/fake-api.ts";
import type { MarkdownHarness } from "./support/markdown-harness.tsx";
import { launchBrowser } from "../support/browser.ts";
import { watch } from "./support/page-test.ts";

declare global {
  interface Window {
    readonly harness: MarkdownHarness;
    xss?: unknown;
    violations: string[];
  }
}

const chunkCharacters = 4;
/** Long enough for a handler or a request that was set off to be seen. */
const aftermathMs = 300;

let directory: string;
let api: FakeApi;
let browser: Browser;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "page-safety-"));
  await buildPage({ outDir: directory });
  await mkdir(join(directory, "harness"));
  await build({
    entryPoints: [join(import.meta.dirname, "support/markdown-harness.tsx")],
    outfile: join(directory, "harness/harness.js"),
    bundle: true,
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact",
    logLevel: "warning",
  });
  await writeFile(
    join(directory, "harness/index.html"),
    '<!doctype html><link rel="icon" href="data:," /><body><script src="/harness/harness.js"></script></body>',
  );
  api = await startFakeApi(directory);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await api.close();
  await rm(directory, { recursive: true });
});

interface Watched {
  readonly page: Page;
  readonly complaints: string[];
  readonly foreignRequests: string[];
  /** Closes the page after whatever was set off has had time to show. */
  readonly finish: () => Promise<{ xss: unknown; violations: string[] }>;
}

async function open(path: string): Promise<Watched> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const foreignRequests: string[] = [];
  watch(page, api.url, complaints, foreignRequests);
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
    );
  });
  await page.goto(path === "about:blank" ? path : api.url + path);
  return {
    page,
    complaints,
    foreignRequests,
    async finish() {
      await page.waitForTimeout(aftermathMs);
      const seen = await page.evaluate(() => ({ xss: window.xss, violations: window.violations }));
      await page.close();
      return seen;
    },
  };
}

describe("the attacks", () => {
  it("are many, and work where nothing defends", async () => {
    expect(attacks.length).toBeGreaterThanOrEqual(40);
    const naive = await open("about:blank");
    let harmful = 0;
    for (const [, markdown] of attacks) {
      const html = await marked.parse(markdown);
      const before = naive.foreignRequests.length;
      await naive.page.evaluate((text) => {
        delete window.xss;
        document.body.innerHTML = text;
      }, html);
      await naive.page.waitForTimeout(20);
      const executed = await naive.page.evaluate(() => window.xss !== undefined).catch(() => true);
      const scriptLink = await naive.page.evaluate(
        () => document.querySelector('a[href^="javascript:" i], [onclick], iframe, form') !== null,
      );
      if (executed || scriptLink || naive.foreignRequests.length > before) harmful += 1;
      if (!naive.page.url().startsWith("about:")) await naive.page.goto("about:blank");
    }
    await naive.page.close();
    // Those through maths need somebody who sets it.
    const naiveAttacks = attacks.filter(([name]) => !name.startsWith("maths:"));
    expect(harmful).toBeGreaterThan(naiveAttacks.length / 2);
  });

  it("do nothing when rendered at every length", async () => {
    const { page, complaints, foreignRequests, finish } = await open("/harness/index.html");
    for (const [name, markdown] of attacks) {
      const found = await page.evaluate((text) => window.harness.renderGrowing(text), markdown);
      expect({ name, found }).toEqual({ name, found: [] });
    }
    expect(await finish()).toEqual({ xss: undefined, violations: [] });
    expect({ complaints, foreignRequests, unknown: api.unknownPaths }).toEqual({ complaints: [], foreignRequests: [], unknown: [] });
  });

  it("do nothing to the sanitizer alone, given as HTML at every length", async () => {
    const { page, complaints, foreignRequests, finish } = await open("/harness/index.html");
    for (const [name, markdown] of attacks) {
      for (const html of [markdown, await marked.parse(markdown)]) {
        const found = await page.evaluate((text) => window.harness.sanitizeGrowing(text), html);
        expect({ name, found }).toEqual({ name, found: [] });
      }
    }
    // The browser reports handlers even in the inert document that the sanitizer parses into, so here the policy's reports mean nothing.
    expect((await finish()).xss).toBeUndefined();
    expect({
      dialogs: complaints.filter((complaint) => complaint.startsWith("dialog")),
      foreignRequests,
      unknown: api.unknownPaths,
    }).toEqual({
      dialogs: [],
      foreignRequests: [],
      unknown: [],
    });
  });

  it("do nothing when streamed to the page in small deltas", async () => {
    const { page, complaints, foreignRequests, finish } = await open("/");
    const text = attacks.map(([name, markdown]) => `## ${name}\n\n${markdown}\n\n`);
    // Unclosed fences and elements swallow what follows, so they are answers of their own too.
    for (const answer of [text.join(""), ...text.slice(-3)]) {
      const deltas = answer.match(new RegExp(`[^]{1,${chunkCharacters}}`, "g")) ?? [];
      api.replies.push({ kind: "stream", deltas, intervalMs: 1 });
      await ask(page, "Attack");
    }
    const harmful =
      "img, image, picture, svg, maction, annotation-xml, mglyph, math [href], math [class], script, style, iframe, object, embed, form, video, audio, link, meta, base, input, [style], [id]";
    expect(await lastAnswer(page).page().locator("article.answer .markdown").locator(harmful).count()).toBe(0);
    expect(await finish()).toEqual({ xss: undefined, violations: [] });
    expect({ complaints, foreignRequests, unknown: api.unknownPaths }).toEqual({ complaints: [], foreignRequests: [], unknown: [] });
  });
});

describe("the policy, should all else fail", () => {
  it("refuses scripts, handlers and markup from text, and anything foreign", async () => {
    const { page, finish } = await open("/");
    await page.evaluate(() => {
      const script = document.createElement("script");
      const image = document.createElement("img");
      const attempts = {
        handler: () => image.setAttribute("onerror", "xss=1"),
        script: () => (script.text = "xss=1"),
        markup: () => document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=xss=1>"),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        try {
          attempt();
        } catch {
          window.violations.push(`no ${name} from text`);
        }
      }
      const sheet = document.createElement("link");
      sheet.rel = "stylesheet";
      sheet.href = "https://evil.example/style.css";
      image.src = "https://evil.example/leak";
      document.body.append(script, image, sheet);
    });
    const { xss, violations } = await finish();
    expect(xss).toBeUndefined();
    expect(violations).toEqual(
      expect.arrayContaining([
        "no handler from text",
        "no script from text",
        "no markup from text",
        "img-src: https://evil.example/leak",
        "style-src-elem: https://evil.example/style.css",
      ]),
    );
  });
});
