#compdef wharf
# Completion of wharf for zsh. Load it with: source <(wharf completion zsh)
_wharf() {
  local line
  local -a names
  for line in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == ':files' ]]; then
      _files
      return
    fi
    [[ -n $line ]] || continue
    local name=${line%%$'\t'*}
    # _describe separates the name from its description with a colon.
    name=${name//:/\\:}
    if [[ $line == *$'\t'* ]]; then names+=("$name:${line#*$'\t'}"); else names+=("$name"); fi
  done
  _describe 'wharf' names
}
compdef _wharf wharf
