/**
 * Every setting of the daemon: its key in daemon.json, its flag, its kind. Names are dockerd's, so that existing
 * files and units keep working (reference: the dockerd command's page).
 */

/** How a setting's value is written. */
export type OptionKind =
  | 'text'
  | 'flag'
  | 'number'
  | 'bytes'
  | 'list'
  | 'map'
  | 'flags'
  | 'ulimits'
  | 'runtimes'
  | 'pools'
  | 'nested'

/** One setting. */
export type Option = {
  /** Key in daemon.json. */
  key: string
  kind: OptionKind
  /** Long flag; the key when absent, none when empty. */
  flag?: string
  short?: string
  help: string
  /** Taken over by SIGHUP. */
  reload?: boolean
}

/** All settings, in the order of the help text. */
export const options: readonly Option[] = [
  {
    key: 'runtimes',
    flag: 'add-runtime',
    kind: 'runtimes',
    reload: true,
    help: 'Register an additional OCI compatible runtime',
  },
  {
    key: 'allow-direct-routing',
    kind: 'flag',
    help: 'Allow remote access to published ports on container IP addresses',
  },
  { key: 'api-cors-header', kind: 'text', reload: true, help: 'Set CORS headers in the Engine API' },
  {
    key: 'authorization-plugins',
    flag: 'authorization-plugin',
    kind: 'list',
    help: 'Authorization plugins to load',
  },
  { key: 'bip', kind: 'text', help: 'IPv4 address for the default bridge' },
  { key: 'bip6', kind: 'text', help: 'IPv6 address for the default bridge' },
  { key: 'bridge', short: 'b', kind: 'text', help: 'Attach containers to a network bridge' },
  { key: 'cdi-spec-dirs', flag: 'cdi-spec-dir', kind: 'list', help: 'CDI specification directories to use' },
  { key: 'cgroup-parent', kind: 'text', help: 'Set parent cgroup for all containers' },
  { key: 'containerd', kind: 'text', help: 'Accepted and not used: there is no containerd' },
  { key: 'containerd-namespace', kind: 'text', help: 'Accepted and not used: there is no containerd' },
  {
    key: 'containerd-plugin-namespace',
    flag: 'containerd-plugins-namespace',
    kind: 'text',
    help: 'Accepted and not used: there is no containerd',
  },
  {
    key: 'cpu-rt-period',
    kind: 'number',
    help: 'Limit the CPU real-time period in microseconds for the parent cgroup',
  },
  {
    key: 'cpu-rt-runtime',
    kind: 'number',
    help: 'Limit the CPU real-time runtime in microseconds for the parent cgroup',
  },
  { key: 'data-root', short: 'g', kind: 'text', help: 'Root directory of persistent state' },
  { key: 'debug', short: 'D', kind: 'flag', reload: true, help: 'Enable debug mode' },
  {
    key: 'default-address-pools',
    flag: 'default-address-pool',
    kind: 'pools',
    help: 'Default address pools for local networks',
  },
  {
    key: 'default-cgroupns-mode',
    kind: 'text',
    help: 'Default mode for containers cgroup namespace ("host" | "private")',
  },
  {
    key: 'default-gateway',
    kind: 'text',
    help: 'Default gateway IPv4 address for the default bridge network',
  },
  {
    key: 'default-gateway-v6',
    kind: 'text',
    help: 'Default gateway IPv6 address for the default bridge network',
  },
  {
    key: 'default-ipc-mode',
    kind: 'text',
    help: 'Default mode for containers ipc ("shareable" | "private")',
  },
  {
    key: 'default-network-opts',
    flag: 'default-network-opt',
    kind: 'nested',
    help: 'Default network options',
  },
  { key: 'default-runtime', kind: 'text', reload: true, help: 'Default OCI runtime for containers' },
  { key: 'default-shm-size', kind: 'bytes', help: 'Default shm size for containers' },
  { key: 'default-ulimits', flag: 'default-ulimit', kind: 'ulimits', help: 'Default ulimits for containers' },
  { key: 'dns', kind: 'list', help: 'DNS server to use' },
  { key: 'dns-opts', flag: 'dns-opt', kind: 'list', help: 'DNS options to use' },
  { key: 'dns-search', kind: 'list', help: 'DNS search domains to use' },
  { key: 'exec-opts', flag: 'exec-opt', kind: 'list', help: 'Runtime execution options' },
  { key: 'exec-root', kind: 'text', help: 'Root directory for execution state files' },
  { key: 'experimental', kind: 'flag', help: 'Enable experimental features' },
  { key: 'features', flag: 'feature', kind: 'flags', reload: true, help: 'Enable feature in the daemon' },
  { key: 'firewall-backend', kind: 'text', help: 'Firewall backend to use; nftables only' },
  { key: 'fixed-cidr', kind: 'text', help: 'IPv4 subnet for the default bridge network' },
  { key: 'fixed-cidr-v6', kind: 'text', help: 'IPv6 subnet for the default bridge network' },
  { key: 'group', short: 'G', kind: 'text', help: 'Group for the unix socket' },
  { key: 'hosts', flag: 'host', short: 'H', kind: 'list', help: 'Daemon socket(s) to listen on' },
  {
    key: 'host-gateway-ips',
    flag: 'host-gateway-ip',
    kind: 'list',
    help: "Addresses that 'host-gateway' in --add-host resolves to",
  },
  { key: 'http-proxy', kind: 'text', help: 'HTTP proxy URL to use for outgoing traffic' },
  { key: 'https-proxy', kind: 'text', help: 'HTTPS proxy URL to use for outgoing traffic' },
  { key: 'proxies', flag: '', kind: 'nested', help: '' },
  { key: 'icc', kind: 'flag', help: 'Enable inter-container communication for the default bridge network' },
  { key: 'init', kind: 'flag', help: 'Run an init in the container to forward signals and reap processes' },
  { key: 'init-path', kind: 'text', help: 'Path to the init binary' },
  {
    key: 'insecure-registries',
    flag: 'insecure-registry',
    kind: 'list',
    reload: true,
    help: 'Enable insecure registry communication',
  },
  {
    key: 'instance',
    kind: 'text',
    help: 'Name that this daemon gives its bridges and firewall table, for several daemons on one machine',
  },
  { key: 'ip', kind: 'text', help: 'Host IP for port publishing from the default bridge network' },
  { key: 'ip-forward', kind: 'flag', help: 'Enable IP forwarding in system configuration' },
  {
    key: 'ip-forward-no-drop',
    kind: 'flag',
    help: 'Do not set the forward policy to drop when enabling IP forwarding',
  },
  { key: 'ip-masq', kind: 'flag', help: 'Enable IP masquerading for the default bridge network' },
  { key: 'ip6tables', kind: 'flag', help: 'Enable addition of IPv6 firewall rules' },
  { key: 'iptables', kind: 'flag', help: 'Enable addition of firewall rules' },
  { key: 'ipv6', kind: 'flag', help: 'Enable IPv6 networking for the default bridge network' },
  { key: 'labels', flag: 'label', kind: 'list', reload: true, help: 'Set key=value labels to the daemon' },
  {
    key: 'live-restore',
    kind: 'flag',
    reload: true,
    help: 'Keep containers running while the daemon is away',
  },
  { key: 'log-driver', kind: 'text', help: 'Default driver for container logs' },
  { key: 'log-format', kind: 'text', help: 'Set the logging format ("text"|"json")' },
  {
    key: 'log-level',
    short: 'l',
    kind: 'text',
    help: 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")',
  },
  { key: 'log-opts', flag: 'log-opt', kind: 'map', help: 'Default log driver options for containers' },
  { key: 'max-concurrent-downloads', kind: 'number', reload: true, help: 'Set the max concurrent downloads' },
  { key: 'max-concurrent-uploads', kind: 'number', reload: true, help: 'Set the max concurrent uploads' },
  {
    key: 'max-download-attempts',
    kind: 'number',
    reload: true,
    help: 'Set the max download attempts for each pull',
  },
  { key: 'metrics-addr', kind: 'text', help: 'Set default address and port to serve the metrics api on' },
  { key: 'mtu', kind: 'number', help: 'Set the MTU for the default "bridge" network' },
  { key: 'no-new-privileges', kind: 'flag', help: 'Set no-new-privileges by default for new containers' },
  {
    key: 'no-proxy',
    kind: 'text',
    help: 'Comma-separated list of hosts or IP addresses for which the proxy is skipped',
  },
  {
    key: 'node-generic-resources',
    flag: 'node-generic-resource',
    kind: 'list',
    help: 'Advertise user-defined resource',
  },
  { key: 'pidfile', short: 'p', kind: 'text', help: 'Path to use for daemon PID file' },
  { key: 'raw-logs', kind: 'flag', help: 'Full timestamps without ANSI coloring' },
  {
    key: 'registry-mirrors',
    flag: 'registry-mirror',
    kind: 'list',
    reload: true,
    help: 'Preferred registry mirror',
  },
  {
    key: 'seccomp-profile',
    kind: 'text',
    help: 'Path to seccomp profile; "unconfined" disables the default profile',
  },
  { key: 'selinux-enabled', kind: 'flag', help: 'Enable selinux support' },
  { key: 'shutdown-timeout', kind: 'number', reload: true, help: 'Set the default shutdown timeout' },
  { key: 'storage-driver', short: 's', kind: 'text', help: 'Storage driver to use' },
  { key: 'storage-opts', flag: 'storage-opt', kind: 'list', help: 'Storage driver options' },
  { key: 'tls', kind: 'flag', help: 'Use TLS; implied by --tlsverify' },
  { key: 'tlscacert', kind: 'text', help: 'Trust certs signed only by this CA' },
  { key: 'tlscert', kind: 'text', help: 'Path to TLS certificate file' },
  { key: 'tlskey', kind: 'text', help: 'Path to TLS key file' },
  { key: 'tlsverify', kind: 'flag', help: 'Use TLS and verify the remote' },
  { key: 'userland-proxy', kind: 'flag', help: 'Accepted and not used: published ports need no proxy' },
  { key: 'userland-proxy-path', kind: 'text', help: 'Accepted and not used: published ports need no proxy' },
  { key: 'userns-remap', kind: 'text', help: 'User/Group setting for user namespaces' },
]

/** Flags that are no settings. */
export const commandFlags: readonly Option[] = [
  { key: 'config-file', kind: 'text', help: 'Daemon configuration file' },
  { key: 'help', short: 'h', kind: 'flag', help: 'Print usage' },
  { key: 'validate', kind: 'flag', help: 'Validate daemon configuration and exit' },
  { key: 'version', short: 'v', kind: 'flag', help: 'Print version information and quit' },
]

/** The option's long flag; empty when it has none. */
export function flagName(option: Option): string {
  return option.flag ?? option.key
}
