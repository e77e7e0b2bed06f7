/**
 * Go's text/template with Docker's functions: what `--format` takes. `parseTemplate` reads a template once, its
 * `execute` walks data (see go-value.ts) and returns the text. Errors carry Go's texts, positions included:
 * `template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"`.
 */
import { TemplateSyntaxError } from './go-template-lex.ts'
import { parseTemplateText } from './go-template-parse.ts'
import type { ParsedTemplate } from './go-template-parse.ts'
import { execute } from './go-template-execute.ts'
import { dockerFunctions, goFunctions } from './go-template-functions.ts'
import type { TemplateFunctions } from './go-template-functions.ts'

/** A template that does not parse or execute. */
export class TemplateError extends Error {}

/** How to execute: other functions (headers), and whether a key that a map lacks is an error. */
export type ExecuteOptions = { functions?: TemplateFunctions; missingKeyIsError?: boolean }

/** A parsed template. */
export type Template = { execute(data: unknown, options?: ExecuteOptions): string }

/** Parses `text`. Throws TemplateError. `name` is what errors call the template; Docker's is empty. */
export function parseTemplate(text: string, name = ''): Template {
  const functions: TemplateFunctions = { ...goFunctions, ...dockerFunctions }
  const known = (candidate: string) =>
    candidate === 'and' || candidate === 'or' || Object.hasOwn(functions, candidate)
  let parsed: ParsedTemplate
  try {
    parsed = parseTemplateText(text, known)
  } catch (error) {
    if (!(error instanceof TemplateSyntaxError)) throw error
    const line = text.slice(0, error.position).split('\n').length
    throw new TemplateError(`template: ${name}:${line}: ${error.message}`, { cause: error })
  }
  return {
    execute: (data, options = {}) =>
      execute(
        { text, name, parsed, functions: { ...functions, ...options.functions } },
        data,
        options.missingKeyIsError ?? false,
      ),
  }
}
