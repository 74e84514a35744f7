/** The API's OpenAPI document (3.1), made of the route table and of the schemas that read requests. */
import * as z from "zod";
import { isRefusedField, wireShapeOf } from "../schema/parse.ts";
import { answerShapes, type AnswerShape } from "./answers.ts";
import { requestShapes, type RequestShape } from "./requests.ts";

/** What a route does, for whoever reads of it. */
export interface Operation {
  readonly does: string;
  readonly body?: RequestShape;
  /** Of a body that is no JSON. */
  readonly media?: string;
  readonly query?: z.ZodType;
  /** Undefined where nothing is answered. */
  readonly answer?: AnswerShape | { readonly media: string };
  readonly status?: 201 | 204;
  /** Of server-sent events, where it may answer with some. */
  readonly events?: readonly AnswerShape[];
  /** Where errors have another shape than `Error`. */
  readonly error?: AnswerShape;
  /** Whether it can be called without a key where keys are asked for. */
  readonly isOpen?: boolean;
}

export interface DocumentedRoute {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

type Json = Record<string, unknown>;

const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });

export function openApiDocument(routes: readonly DocumentedRoute[]): Json {
  const paths: Record<string, Json> = {};
  for (const { method, path, operation } of routes) {
    const shown = path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}");
    (paths[shown] ??= {})[method.toLowerCase()] = operationJson(method, shown, operation);
  }
  const schemas = {
    ...Object.fromEntries(Object.entries(requestShapes).map(([name, shape]) => [name, schemaOf(shape, "input")])),
    ...Object.fromEntries(Object.entries(answerShapes).map(([name, shape]) => [name, schemaOf(shape, "output")])),
  };
  return {
    openapi: "3.1.0",
    info: { title: "spikingbrain-edge", version: "1", description: "Language models at the edge, with conversations that are kept." },
    paths,
    components: {
      schemas,
      securitySchemes: { key: { type: "http", scheme: "bearer" }, header: { type: "apiKey", in: "header", name: "x-api-key" } },
    },
  };
}

function operationJson(method: string, path: string, operation: Operation): Json {
  const { does, body, media, query, answer, status = 200, events = [], error = "Error", isOpen = false } = operation;
  const accepted = {
    ...(body === undefined ? {} : { "application/json": { schema: reference(body) } }),
    ...(media === undefined ? {} : { [media]: { schema: { type: "string", contentEncoding: "binary" } } }),
  };
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    ...{ name, in: "path", required: true, schema: { type: "string" } },
  }));
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^a-zA-Z0-9]+(\w?)/g, (_all, letter: string) => letter.toUpperCase())}`,
    summary: does,
    parameters: [...parameters, ...(query === undefined ? [] : queryParameters(query))],
    ...(Object.keys(accepted).length === 0 ? {} : { requestBody: { required: true, content: accepted } }),
    responses: {
      [String(status)]: { description: does, ...contentOf(answer, events) },
      default: {
        description: "What is wrong, by its field, rule and value",
        content: { "application/json": { schema: reference(error) } },
      },
    },
    security: isOpen ? [] : [{ key: [] }, { header: [] }],
  };
}

function contentOf(answer: Operation["answer"], events: readonly AnswerShape[]): Json {
  const content: Json = {};
  if (typeof answer === "string") content["application/json"] = { schema: reference(answer) };
  else if (answer !== undefined) content[answer.media] = { schema: { type: "string", contentEncoding: "binary" } };
  if (events.length > 0) content["text/event-stream"] = { schema: eventOf(events) };
  return Object.keys(content).length === 0 ? {} : { content };
}

/** Of one event of a stream: before OpenAPI 3.2, that is what the schema of its media type is read as. */
function eventOf(events: readonly AnswerShape[]): Json {
  const json = { type: "string", contentMediaType: "application/json", contentSchema: { anyOf: events.map(reference) } };
  return {
    type: "object",
    properties: { id: { type: "string" }, event: { type: "string" }, data: { anyOf: [{ const: "[DONE]" }, json] } },
    required: ["data"],
  };
}

function queryParameters(query: z.ZodType): Json[] {
  const { properties = {}, required = [] } = schemaOf(query, "input") as { properties?: Json; required?: string[] };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: "query", required: required.includes(name), schema }));
}

/** JSON Schema of what is on the wire: what a schema checks by hand is shown as it says, and refused fields are left out. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const json = z.toJSONSchema(schema, {
    io,
    target: "draft-2020-12",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const shape = wireShapeOf(zodSchema);
      if (shape !== undefined) {
        for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key);
        Object.assign(jsonSchema, schemaOf(shape, io));
        return;
      }
      if (jsonSchema.anyOf !== undefined) jsonSchema.anyOf = jsonSchema.anyOf.filter(isPossible);
      if (jsonSchema.oneOf !== undefined) jsonSchema.oneOf = jsonSchema.oneOf.filter(isPossible);
      if (!(zodSchema instanceof z.core.$ZodObject)) return;
      for (const [name, field] of Object.entries(zodSchema._zod.def.shape))
        if (isRefusedField(field)) Reflect.deleteProperty(jsonSchema.properties ?? {}, name);
    },
  }) as Json;
  const { $schema: _dialect, ...rest } = json;
  return rest;
}

/** `{"not": {}}` is what nothing fits. */
function isPossible(schema: object): boolean {
  return !("not" in schema && Object.keys(schema.not as object).length === 0);
}
