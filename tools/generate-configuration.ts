/**
 * Writes docs/configuration.md from the daemon's table of settings: `node tools/generate-configuration.ts`. A unit
 * test holds the page against the table.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { options } from '../src/daemon/config-options.ts'

const head = `# Configuration of the daemon

\`wharfd\` reads \`/etc/wharf/daemon.json\` (another with \`--config-file\`) and its flags. Names are those of Docker's
daemon, so an existing \`daemon.json\` works as it is. A key that is not known is refused, and so is a setting that
stands in the file and on the command line at once; \`wharfd --validate\` says what is wrong and starts nothing.

\`\`\`json
{
  "log-driver": "json-file",
  "log-opts": { "max-size": "20m", "max-file": "5" },
  "default-address-pools": [{ "base": "10.200.0.0/16", "size": 24 }],
  "insecure-registries": ["registry.example.test:5000"]
}
\`\`\`

Docker's settings that this engine cannot follow are refused where somebody relies on them (\`authorization-plugins\`,
\`selinux-enabled\`, \`metrics-addr\`, \`storage-opts\`, \`exec-opts\` other than \`native.cgroupdriver=cgroupfs\`);
those that only tune what is done another way here, such as \`firewall-backend: iptables\`, are named in the log and change nothing.

\`kill -HUP\` (or \`systemctl reload wharf\`) takes over the keys marked with *yes* below; containers are not touched.

The command line client reads \`~/.docker/config.json\` as Docker's does (\`psFormat\`, \`detachKeys\`, \`credsStore\`,
\`proxies\`, \`currentContext\` ...), and \`WHARF_HOST\` before \`DOCKER_HOST\`. With \`{"wharf": {"autostart": true}}\` in it,
a command typed by root starts the daemon when none runs.

| key | flag | reload | what it is for |
|---|---|---|---|
`

/** The page's text. */
export function configurationPage(): string {
  const rows = options.map((option) => {
    const long = option.flag ?? option.key
    const flag = [option.short === undefined ? '' : `-${option.short}`, long === '' ? '' : `--${long}`]
    const shown = flag.filter((part) => part !== '').join(', ')
    const text = option.help.replaceAll('|', '\\|')
    return `| ${[`\`${option.key}\``, shown === '' ? '' : `\`${shown}\``, option.reload === true ? 'yes' : '', text].join(' | ')} |`
  })
  return `${head}${rows.join('\n')}\n`
}

if (import.meta.main)
  writeFileSync(join(import.meta.dirname, '../docs/configuration.md'), configurationPage())
