/** What TypeScript and JavaScript files import, types and `import()` included. */
import { posix } from "node:path";
import ts from "typescript";

export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Whether nothing of it is left at run time: `import type`, `export type`, or a type's `import()`. */
  readonly isType: boolean;
  readonly line: number;
}

export function parseScript(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false, file.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
}

export function importsOf(file: string, text: string): Import[] {
  const source = parseScript(file, text);
  const imports: Import[] = [];
  const add = (node: ts.Node | undefined, isType: boolean): void => {
    if (node === undefined || !ts.isStringLiteralLike(node)) return;
    imports.push({ specifier: node.text, isType, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1 });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

/** The path from the root that a relative specifier means; null for a package. */
export function importedPath(file: string, specifier: string): string | null {
  return /^\.\.?\//.test(specifier) ? posix.join(posix.dirname(file), specifier.replace(/\?.*$/, "")) : null;
}
