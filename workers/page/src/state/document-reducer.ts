import type { DocumentAction } from "./action.ts";
import type { Document, State } from "./types.ts";

export function reduceDocument(state: State, action: DocumentAction): State {
  switch (action.type) {
    case "documents-listed": {
      const own = new Map(state.documents.map((document) => [document.facts.id, document]));
      const listed = action.contexts.map((facts): Document => ({ size: null, failure: null, ...own.get(facts.id), facts }));
      // One that has been made since the list was asked for is not on it.
      const newer = state.documents.filter(({ facts, size }) => size !== null && !action.contexts.some(({ id }) => id === facts.id));
      return { ...state, documents: [...newer, ...listed] };
    }
    case "document-changed": {
      const { document } = action;
      const known = state.documents.some(({ facts }) => facts.id === document.facts.id);
      const replaced = state.documents.map((candidate) => (candidate.facts.id === document.facts.id ? document : candidate));
      return { ...state, documents: known ? replaced : [document, ...state.documents] };
    }
    case "document-failed":
      return {
        ...state,
        documents: state.documents.map((document) =>
          document.facts.id === action.id ? { ...document, failure: action.failure } : document,
        ),
      };
    case "document-removed":
      return { ...state, documents: state.documents.filter(({ facts }) => facts.id !== action.id) };
  }
}
