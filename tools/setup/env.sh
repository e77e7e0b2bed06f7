# Sourced by every script: puts the project's own Node and tools in front of the machine's.
export PATH="$PWD/node_modules/node-linux-$(uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')/bin:$PWD/node_modules/.bin:$PATH"
