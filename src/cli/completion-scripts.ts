/**
 * Completion scripts of the shells. They ask `wharf __complete` for candidates; `completions/` holds them as files for
 * packages to install.
 */

/** Shells there is a script for. */
export const completionShells = ['bash', 'zsh', 'fish'] as const

/** See `completionShells`. */
export type CompletionShell = (typeof completionShells)[number]

const bash = [
  '# Completion of wharf for bash. Load it with: source <(wharf completion bash)',
  '_wharf() {',
  '  local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} line',
  '  local -a words',
  '  # A colon or an equals sign splits words here, but not for us.',
  '  if declare -F _get_comp_words_by_ref >/dev/null; then',
  '    _get_comp_words_by_ref -n := cur words cword 2>/dev/null && words=("${words[@]:1:cword}") current=$cur',
  '  else',
  '    words=("${COMP_WORDS[@]:1:COMP_CWORD}")',
  '  fi',
  '  COMPREPLY=()',
  '  # -- keeps flags that are being completed from being read as our own.',
  '  while IFS= read -r line; do',
  '    if [ "$line" = \':files\' ]; then',
  '      compopt -o default 2>/dev/null',
  '      COMPREPLY=()',
  '      return',
  '    fi',
  '    COMPREPLY+=("${line%%$\'\\t\'*}")',
  '  done < <("$program" __complete -- "${words[@]}" 2>/dev/null)',
  '  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi',
  '}',
  'complete -F _wharf wharf',
]

const zsh = [
  '#compdef wharf',
  '# Completion of wharf for zsh. Load it with: source <(wharf completion zsh)',
  '_wharf() {',
  '  local line',
  '  local -a names',
  '  for line in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do',
  "    if [[ $line == ':files' ]]; then",
  '      _files',
  '      return',
  '    fi',
  '    [[ -n $line ]] || continue',
  "    local name=${line%%$'\\t'*}",
  '    # _describe separates the name from its description with a colon.',
  '    name=${name//:/\\\\:}',
  '    if [[ $line == *$\'\\t\'* ]]; then names+=("$name:${line#*$\'\\t\'}"); else names+=("$name"); fi',
  '  done',
  "  _describe 'wharf' names",
  '}',
  'compdef _wharf wharf',
]

const fish = [
  '# Completion of wharf for fish. Load it with: wharf completion fish | source',
  'function __wharf_complete',
  '    set -l words (commandline -opc)',
  '    set -l current (commandline -ct)',
  '    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)',
  '    if test "$lines[1]" = \':files\'',
  '        __fish_complete_path "$current"',
  '        return',
  '    end',
  '    for line in $lines',
  '        echo $line',
  '    end',
  'end',
  "complete -c wharf -f -a '(__wharf_complete)'",
]

const scripts: Readonly<Record<CompletionShell, readonly string[]>> = { bash, zsh, fish }

/** The script of a shell, for the name the program is called by. */
export function completionScript(shell: CompletionShell, program: string): string {
  return `${scripts[shell].join('\n')}\n`.replaceAll(/\bwharf\b/g, program)
}
