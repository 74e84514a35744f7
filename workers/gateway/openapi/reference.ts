/** The API's document for people: one static text of HTML, without scripts. Its style is a file of the web page's build (`workers/page/reference.css`). */
import { escaped } from "./escaped.ts";
import { link, shapeHtml, typeHtml, type Json } from "./schema-html.ts";

interface Document {
  readonly info: { readonly title: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationJson>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

interface OperationJson {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: Json }[];
  readonly requestBody?: { readonly content: Json };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Json }>>;
}

interface Request extends OperationJson {
  readonly method: string;
  readonly path: string;
}

/** Nothing is loaded but that style. */
const policy = ["default-src 'none'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];

export const referenceHeaders = { "content-type": "text/html; charset=utf-8", "content-security-policy": policy.join("; ") } as const;

export function referenceHtml(value: object): string {
  const { info, paths, components } = value as Document;
  const requests = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Request => ({ ...operation, method: method.toUpperCase(), path })),
  );
  const groups = [...Map.groupBy(requests, ({ path }) => groupOf(path))];
  const shapes = Object.entries(components.schemas);
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta name="color-scheme" content="light dark"><title>${escaped(info.title)}: the API</title>`,
    '<link rel="stylesheet" href="/reference.css"></head><body>',
    `<header><h1>${escaped(info.title)}</h1><p>${escaped(info.description)}</p>`,
    '<p><a href="/openapi.json">openapi.json</a> is the same for programs; <a href="/">the web page</a> is a chat.</p></header>',
    `<nav aria-label="Contents">${contents(
      "Requests",
      groups.map(([name]) => [`requests-${name}`, name]),
    )}`,
    `${contents(
      "Shapes",
      shapes.map(([name]) => [name, name]),
    )}</nav><main>`,
    ...groups.map(([name, some]) => `<section id="requests-${name}"><h2>${name}</h2>${some.map(requestHtml).join("")}</section>`),
    `<section id="shapes"><h2>Shapes</h2>${shapes.map(([name, shape]) => `<article id="${escaped(name)}"><h3>${escaped(name)}</h3>${shapeHtml(shape)}</article>`).join("")}</section>`,
    "</main></body></html>",
  ].join("\n");
}

/** The first part of a path that says what it is about. */
const groupOf = (path: string): string => /^\/(?:v1\/)?([a-z_]+)/.exec(path)?.[1] ?? "";

const contents = (title: string, entries: readonly (readonly [id: string, name: string])[]): string =>
  `<h2>${title}</h2><ul>${entries.map(([id, name]) => `<li><a href="#${escaped(id)}">${escaped(name)}</a></li>`).join("")}</ul>`;

function requestHtml({ operationId, method, path, summary, parameters, requestBody, responses }: Request): string {
  const rows = [
    ...parameters.map(({ name, in: place, required, schema }) => [
      `<code>${escaped(name)}</code> <small>${escaped(place)}${required ? ", required" : ""}</small>`,
      typeHtml(schema),
    ]),
    ...(requestBody === undefined ? [] : [["Body", contentHtml(requestBody.content)]]),
    ...Object.entries(responses).map(([status, { description, content = {} }]) => [
      status === "default" ? "Errors" : `Answer <small>${escaped(status)}</small>`,
      status === "default" ? `${contentHtml(content)}: ${escaped(description)}` : contentHtml(content),
    ]),
  ].map(([name = "", is = ""]) => `<tr><th scope="row">${name}</th><td>${is}</td></tr>`);
  return [
    `<article id="${escaped(operationId)}"><h3><code class="method">${method}</code> <code>${escaped(path)}</code></h3>`,
    `<p>${escaped(summary)}.</p><table><tbody>${rows.join("")}</tbody></table></article>`,
  ].join("");
}

/** The media types of some content, each with links to its shapes. */
function contentHtml(content: Json): string {
  const kinds = Object.entries(content).map(([media, shape]) => {
    const names = [...JSON.stringify(shape).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name = ""]) => link(name));
    return `${names.join(", ")}${names.length === 0 ? "" : " as "}<code>${escaped(media)}</code>`;
  });
  return kinds.length === 0 ? "nothing" : kinds.join(", or ");
}
