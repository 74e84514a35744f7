import { describe, expect, it } from "vitest";
import { ask, lastAnswer, send, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

async function answerWith(markdown: string) {
  test.api.replies.push({ kind: "stream", deltas: markdown.match(/[^]{1,5}/g) ?? [], intervalMs: 1 });
  await ask(test.page, "Go");
  return lastAnswer(test.page).locator(".markdown");
}

describe("Markdown", () => {
  it("is rendered", async () => {
    const answer = await answerWith(
      "# Title\n\nSome **bold**, *italic* and `code`.\n\n1. one\n2. two\n\n- [x] done\n\n> quoted\n\n| a | b |\n|---|--:|\n| 1<br>2 | 3 |\n\n~~gone~~",
    );
    for (const selector of ["h3", "strong", "em", "code", "ol > li", "blockquote", "table td br", "td[align=right]", "del"]) {
      expect({ selector, found: (await answer.locator(selector).count()) > 0 }).toEqual({ selector, found: true });
    }
    expect(await answer.innerText()).toContain("☑ done");
  });

  it("opens links elsewhere and tells the other side nothing", async () => {
    const answer = await answerWith("See [this](https://example.com/a?b=c) or https://example.org and mail me@example.com.");
    const links = answer.locator("a");
    expect(await links.count()).toBe(3);
    for (const link of await links.all()) {
      expect(await link.getAttribute("target")).toBe("_blank");
      expect(await link.getAttribute("rel")).toBe("noopener noreferrer nofollow");
    }
  });

  it("shows an image as a link with its description", async () => {
    const answer = await answerWith("![a cat](https://example.com/cat.png)");
    expect(await answer.locator("img").count()).toBe(0);
    expect(await answer.getByRole("link", { name: "a cat" }).getAttribute("href")).toBe("https://example.com/cat.png");
  });

  it("shows HTML as the text it is", async () => {
    const answer = await answerWith("Use `<b>` or <b>this</b>.\n\n<div>block</div>\n\nand \"quotes\" & 'more'");
    expect(await answer.innerText()).toContain("<b>this</b>");
    expect(await answer.innerText()).toContain("<div>block</div>");
    expect(await answer.innerText()).toContain("\"quotes\" & 'more'");
  });

  it("colours code once it is finished, and fetches what it needs for that only then", async () => {
    const { page, api } = test;
    const fetched: string[] = [];
    page.on("request", (request) => fetched.push(request.url()));
    api.replies.push({ kind: "stream", deltas: ["No code here."] });
    await ask(page, "Go");
    expect(fetched.filter((url) => url.includes("highlighter"))).toEqual([]);
    const answer = await answerWith('```python\ndef f():\n    return "x"\n```\n\n```unheard-of\nplain\n```');
    await answer.locator(".hljs-keyword").first().waitFor();
    expect(fetched.filter((url) => url.includes("highlighter"))).toHaveLength(1);
    expect(await answer.locator("pre").first().innerText()).toBe('def f():\n    return "x"\n');
    expect(await answer.locator(".code-language").allInnerTexts()).toEqual(["python", "unheard-of"]);
  });

  it("sets maths once it is finished, and fetches what it needs for that only then; what is no TeX stays as written", async () => {
    const { page } = test;
    const fetched: string[] = [];
    page.on("request", (request) => fetched.push(request.url()));
    await answerWith("It costs $5.");
    expect(fetched.filter((url) => url.includes("math-renderer"))).toEqual([]);
    const answer = await answerWith(
      "So $a_1 * b_1 * c_1$ and\n\n$$\n\\sum_{i=0}^n i = \\frac{n(n+1)}{2}\n$$\n\nbut \\(\\unheard_of*x*\\) stays.",
    );
    await answer.locator("math").nth(1).waitFor();
    expect(fetched.filter((url) => url.includes("math-renderer"))).toHaveLength(1);
    expect(await answer.locator("math msub").count()).toBe(3);
    expect(await answer.locator("math mfrac").evaluate((element) => element.namespaceURI)).toBe("http://www.w3.org/1998/Math/MathML");
    expect(await answer.locator("p").last().innerText()).toBe("but \\(\\unheard_of*x*\\) stays.");
    expect(await answer.locator("em").count()).toBe(0);
    // Set, not only marked up: the fraction's parts stand above each other.
    const [above, below] = await answer.locator("mfrac > *").evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().top));
    expect(above).toBeLessThan(below ?? 0);
  });

  it("leaves finished blocks alone while the rest grows", async () => {
    const { page, api } = test;
    const deltas = ["First paragraph.\n\n", ...Array.from({ length: 30 }, (_, index) => `Paragraph ${index} follows.\n\n`)];
    api.replies.push({ kind: "stream", deltas, intervalMs: 20 });
    await send(page, "Go");
    await waitForText(page, "Paragraph 3 follows");
    await lastAnswer(page)
      .locator(".block p")
      .first()
      .evaluate((element) => Object.assign(element, { marked: true }));
    await waitForStatus(page, "done");
    const first = lastAnswer(page).locator(".block p").first();
    expect(await first.evaluate((element) => "marked" in element)).toBe(true);
  });

  it("keeps a reader's selection in the block that grows", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["**Chosen words** ", ...Array.from({ length: 40 }, () => "more ")], intervalMs: 20 });
    await send(page, "Go");
    await waitForText(page, "Chosen words");
    await lastAnswer(page)
      .locator("strong")
      .evaluate((element) => getSelection()?.selectAllChildren(element));
    await waitForStatus(page, "done");
    expect(await page.evaluate(() => getSelection()?.toString())).toBe("Chosen words");
  });
});
