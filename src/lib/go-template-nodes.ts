/** The tree of a parsed template, and its text form, which error messages quote. */

/** A part of a pipeline's command. `position` is the offset that Go reports for it. */
export type Operand = { position: number } & (
  | { type: 'dot' | 'nil' }
  | { type: 'bool'; value: boolean }
  | { type: 'number'; text: string; value: number | bigint; isFloat: boolean }
  | { type: 'string'; text: string; value: string }
  | { type: 'field'; names: string[] }
  | { type: 'variable'; name: string; names: string[] }
  | { type: 'chain'; base: Operand; names: string[] }
  | { type: 'identifier'; name: string }
  | { type: 'pipe'; pipe: Pipe }
)

/** One command of a pipeline: a function or value and its arguments. */
export type CommandNode = { position: number; operands: Operand[] }

/** A pipeline; `variables` are what it declares or assigns. */
export type Pipe = { position: number; variables: string[]; assigns: boolean; commands: CommandNode[] }

/** A statement. */
export type Node = { position: number } & (
  | { type: 'text'; text: string }
  | { type: 'action'; pipe: Pipe }
  | { type: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[] | undefined }
  | { type: 'template'; name: string; pipe: Pipe | undefined }
  | { type: 'break' | 'continue' }
)

function dotted(names: readonly string[]): string {
  return names.map((name) => `.${name}`).join('')
}

/** An operand as its source would be. */
export function operandText(node: Operand): string {
  switch (node.type) {
    case 'nil':
      return 'nil'
    case 'bool':
      return String(node.value)
    case 'number':
    case 'string':
      return node.text
    case 'field':
      return dotted(node.names)
    case 'variable':
      return node.name + dotted(node.names)
    case 'chain':
      return (
        (node.base.type === 'pipe' ? `(${operandText(node.base)})` : operandText(node.base)) +
        dotted(node.names)
      )
    case 'identifier':
      return node.name
    case 'pipe':
      return pipeText(node.pipe)
    default:
      return '.'
  }
}

/** A command as its source would be. */
export function commandText(node: CommandNode): string {
  return node.operands
    .map((operand) => (operand.type === 'pipe' ? `(${pipeText(operand.pipe)})` : operandText(operand)))
    .join(' ')
}

/** A pipeline as its source would be. */
export function pipeText(pipe: Pipe): string {
  const start =
    pipe.variables.length === 0 ? '' : `${pipe.variables.join(', ')} ${pipe.assigns ? '=' : ':='} `
  return start + pipe.commands.map(commandText).join(' | ')
}
