# Completion of wharf for bash. Load it with: source <(wharf completion bash)
_wharf() {
  local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} line
  local -a words
  # A colon or an equals sign splits words here, but not for us.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n := cur words cword 2>/dev/null && words=("${words[@]:1:cword}") current=$cur
  else
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  fi
  COMPREPLY=()
  # -- keeps flags that are being completed from being read as our own.
  while IFS= read -r line; do
    if [ "$line" = ':files' ]; then
      compopt -o default 2>/dev/null
      COMPREPLY=()
      return
    fi
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("$program" __complete -- "${words[@]}" 2>/dev/null)
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
}
complete -F _wharf wharf
