# Completion of wharf for fish. Load it with: wharf completion fish | source
function __wharf_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = ':files'
        __fish_complete_path "$current"
        return
    end
    for line in $lines
        echo $line
    end
end
complete -c wharf -f -a '(__wharf_complete)'
