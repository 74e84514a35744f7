import { Marked, type Tokens } from "marked";
import { escapeHtml } from "./escape.ts";
import { math } from "./math-syntax.ts";

/**
 * Markdown to HTML. Raw HTML in an answer is shown as the text it is, but for line breaks, which models put into table cells;
 * images become links. What comes out still goes through the sanitizer.
 */
const renderer = new Marked(math, {
  gfm: true,
  async: false,
  renderer: {
    // The page has the first two levels: its title and the speaker of each message.
    heading({ tokens, depth }: Tokens.Heading): string {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    html({ text }: Tokens.HTML | Tokens.Tag): string {
      return /^<br\s*\/?>$/i.test(text.trim()) ? "<br>" : escapeHtml(text);
    },
    image({ href, text }: Tokens.Image): string {
      return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
    },
    code({ text, lang }: Tokens.Code): string {
      const language = /^[\w+#.-]+/.exec(lang ?? "")?.[0] ?? "";
      return `<pre><code data-language="${escapeHtml(language)}">${escapeHtml(text)}\n</code></pre>\n`;
    },
    checkbox({ checked }: Tokens.Checkbox): string {
      return `<span class="task">${checked ? "☑" : "☐"}</span> `;
    },
  },
});

export function markdownToHtml(source: string): string {
  return renderer.parse(source) as string;
}
