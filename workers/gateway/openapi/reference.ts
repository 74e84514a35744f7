/** The API's document for people: one static text of HTML, without scripts, and with nothing that comes from elsewhere. */

type Json = Readonly<Record<string, unknown>>;

interface Document {
  readonly info: { readonly title: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationJson>>>>;
  readonly components: { readonly schemas: Json };
}

interface OperationJson {
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: Json }[];
  readonly requestBody?: { readonly content: Json };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Json }>>;
}

/** The policy that all answers of the API carry lets it load nothing. */
export const referenceHeaders = { "content-type": "text/html; charset=utf-8" } as const;

export function referenceHtml(value: object): string {
  const { info, paths, components } = value as Document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method.toUpperCase(), path, operation)),
  );
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details id="${escaped(name)}"><summary>${escaped(name)}</summary><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></details>`,
  );
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(info.title)}: the API</title></head><body>`,
    `<h1>${escaped(info.title)}</h1><p>${escaped(info.description)} <a href="/openapi.json">openapi.json</a></p>`,
    `<h2>Requests</h2>${operations.join("\n")}`,
    `<h2>Shapes</h2>${schemas.join("\n")}</body></html>`,
  ].join("\n");
}

function section(method: string, path: string, { summary, parameters, requestBody, responses }: OperationJson): string {
  const parameter = parameters.map(
    ({ name, in: place, required, schema }) =>
      `<li><code>${escaped(name)}</code> (${escaped(place)}${required ? "" : ", optional"}) <code>${escaped(JSON.stringify(schema))}</code></li>`,
  );
  const answers = Object.entries(responses).map(
    ([status, { description, content = {} }]) => `<li>${escaped(status)}: ${escaped(description)}. ${shapesOf(content)}</li>`,
  );
  return [
    `<section><h3><code>${method} ${escaped(path)}</code></h3><p>${escaped(summary)}</p>`,
    parameter.length === 0 ? "" : `<ul>${parameter.join("")}</ul>`,
    requestBody === undefined ? "" : `<p>Body: ${shapesOf(requestBody.content)}</p>`,
    `<ul>${answers.join("")}</ul></section>`,
  ].join("");
}

/** The media types of some content, each with links to its shapes. */
function shapesOf(content: Json): string {
  return Object.entries(content)
    .map(([media, shape]) => {
      const names = [...JSON.stringify(shape).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name = ""]) => name);
      const links = names.map((name) => `<a href="#${escaped(name)}">${escaped(name)}</a>`).join(", ");
      return `<code>${escaped(media)}</code>${links === "" ? "" : ` ${links}`}`;
    })
    .join("; ");
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
