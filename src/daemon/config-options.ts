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
    help: 'A further OCI runtime, as NAME=PATH',
  },
  {
    key: 'allow-direct-routing',
    kind: 'flag',
    help: 'Let other hosts reach containers at their own addresses',
  },
  { key: 'api-cors-header', kind: 'text', reload: true, help: 'Origins that browsers may call the API from' },
  {
    key: 'authorization-plugins',
    flag: 'authorization-plugin',
    kind: 'list',
    help: 'Plugins that are asked before each request',
  },
  {
    key: 'allow-nondistributable-artifacts',
    kind: 'list',
    help: 'Accepted and not used: layers are pushed wherever they come from',
  },
  { key: 'bip', kind: 'text', help: 'Address and prefix of the default bridge' },
  { key: 'bip6', kind: 'text', help: 'IPv6 address and prefix of the default bridge' },
  { key: 'bridge', short: 'b', kind: 'text', help: 'Use this existing bridge as the default network' },
  {
    key: 'bridge-accept-fwmark',
    kind: 'text',
    help: 'Firewall mark of packets that may reach containers past the published ports',
  },
  { key: 'builder', flag: '', kind: 'nested', help: '' },
  { key: 'cdi-spec-dirs', flag: 'cdi-spec-dir', kind: 'list', help: 'Where descriptions of CDI devices lie' },
  { key: 'cgroup-parent', kind: 'text', help: 'Cgroup that holds those of all containers' },
  { key: 'containerd', kind: 'text', help: 'Accepted and not used: there is no containerd' },
  { key: 'containerd-namespace', kind: 'text', help: 'Accepted and not used: there is no containerd' },
  {
    key: 'containerd-plugin-namespace',
    flag: 'containerd-plugins-namespace',
    kind: 'text',
    help: 'Accepted and not used: there is no containerd',
  },
  { key: 'cri-containerd', kind: 'flag', help: 'Accepted and not used: there is no containerd' },
  {
    key: 'cpu-rt-period',
    kind: 'number',
    help: 'Real-time period of the parent cgroup, in microseconds',
  },
  {
    key: 'cpu-rt-runtime',
    kind: 'number',
    help: 'Real-time share of the parent cgroup, in microseconds',
  },
  { key: 'data-root', short: 'g', kind: 'text', help: 'Where images, containers and volumes are kept' },
  { key: 'debug', short: 'D', kind: 'flag', reload: true, help: 'Log everything, and more in info' },
  {
    key: 'default-address-pools',
    flag: 'default-address-pool',
    kind: 'pools',
    help: 'Ranges that new networks take their subnets from',
  },
  {
    key: 'default-cgroupns-mode',
    kind: 'text',
    help: 'Cgroup namespace of containers that ask for none: host or private',
  },
  {
    key: 'default-gateway',
    kind: 'text',
    help: 'Default route of containers on the default bridge',
  },
  {
    key: 'default-gateway-v6',
    kind: 'text',
    help: 'IPv6 default route of containers on the default bridge',
  },
  {
    key: 'default-ipc-mode',
    kind: 'text',
    help: 'IPC namespace of containers that ask for none: shareable or private',
  },
  {
    key: 'default-network-opts',
    flag: 'default-network-opt',
    kind: 'nested',
    help: 'Options that new networks of a driver start with',
  },
  { key: 'default-runtime', kind: 'text', reload: true, help: 'Runtime of containers that ask for none' },
  { key: 'default-shm-size', kind: 'bytes', help: 'Size of /dev/shm in containers that ask for none' },
  {
    key: 'default-ulimits',
    flag: 'default-ulimit',
    kind: 'ulimits',
    help: 'Limits of processes in containers that set none',
  },
  { key: 'dns', kind: 'list', help: 'Name server for containers' },
  { key: 'dns-opts', flag: 'dns-opt', kind: 'list', help: 'Resolver option for containers' },
  { key: 'dns-search', kind: 'list', help: 'Search domain for containers' },
  {
    key: 'exec-opts',
    flag: 'exec-opt',
    kind: 'list',
    help: 'Options of the runtime, such as native.cgroupdriver',
  },
  { key: 'exec-root', kind: 'text', help: 'Where sockets, mounts and namespaces of running containers are' },
  { key: 'experimental', kind: 'flag', help: 'Say in the API that this is an experimental engine' },
  {
    key: 'features',
    flag: 'feature',
    kind: 'flags',
    reload: true,
    help: 'Switch a feature on or off, as NAME=true',
  },
  {
    key: 'firewall-backend',
    kind: 'text',
    help: 'Firewall to program; nftables is the only one, and stands beside iptables',
  },
  { key: 'fixed-cidr', kind: 'text', help: "Part of the default bridge's subnet to give addresses from" },
  {
    key: 'fixed-cidr-v6',
    kind: 'text',
    help: "Part of the default bridge's IPv6 subnet to give addresses from",
  },
  { key: 'group', short: 'G', kind: 'text', help: 'Group that may use the socket' },
  {
    key: 'hosts',
    flag: 'host',
    short: 'H',
    kind: 'list',
    help: 'Address to listen on: unix://PATH, tcp://HOST:PORT or fd://',
  },
  {
    key: 'host-gateway-ips',
    flag: 'host-gateway-ip',
    kind: 'list',
    help: "Addresses that 'host-gateway' in --add-host resolves to",
  },
  { key: 'http-proxy', kind: 'text', help: "Proxy for the daemon's own HTTP requests" },
  { key: 'https-proxy', kind: 'text', help: "Proxy for the daemon's own HTTPS requests" },
  { key: 'proxies', flag: '', kind: 'nested', help: '' },
  { key: 'icc', kind: 'flag', help: 'Let containers on the default bridge talk with each other' },
  { key: 'init', kind: 'flag', help: 'Give every container an init that passes signals on and reaps' },
  { key: 'init-path', kind: 'text', help: 'Init program for --init' },
  {
    key: 'insecure-registries',
    flag: 'insecure-registry',
    kind: 'list',
    reload: true,
    help: 'Registry to talk to without verified TLS: host, host:port or CIDR',
  },
  {
    key: 'instance',
    kind: 'text',
    help: 'Name that this daemon gives its bridges and firewall table, for several daemons on one machine',
  },
  { key: 'ip', kind: 'text', help: 'Host address that ports are published on by default' },
  { key: 'ip-forward', kind: 'flag', help: "Switch the kernel's IP forwarding on" },
  {
    key: 'ip-forward-no-drop',
    kind: 'flag',
    help: "Leave the host's forward policy alone when switching forwarding on",
  },
  { key: 'ip-masq', kind: 'flag', help: "Hide containers behind the host's address on their way out" },
  { key: 'ip6tables', kind: 'flag', help: 'Program the firewall for IPv6' },
  { key: 'iptables', kind: 'flag', help: 'Program the firewall' },
  { key: 'ipv6', kind: 'flag', help: 'Give the default bridge IPv6 addresses' },
  { key: 'labels', flag: 'label', kind: 'list', reload: true, help: 'Label of this engine, as KEY=VALUE' },
  {
    key: 'live-restore',
    kind: 'flag',
    reload: true,
    help: 'Keep containers running while the daemon is away',
  },
  { key: 'log-driver', kind: 'text', help: 'Log driver of containers that ask for none' },
  { key: 'log-format', kind: 'text', help: "Form of the daemon's own log: text or json" },
  {
    key: 'log-level',
    short: 'l',
    kind: 'text',
    help: 'Least severity to log: debug, info, warn, error or fatal',
  },
  {
    key: 'log-opts',
    flag: 'log-opt',
    kind: 'map',
    help: 'Log option of containers that use the default driver',
  },
  {
    key: 'max-concurrent-downloads',
    kind: 'number',
    reload: true,
    help: 'Layers to download at once for one pull',
  },
  {
    key: 'max-concurrent-uploads',
    kind: 'number',
    reload: true,
    help: 'Layers to upload at once for one push',
  },
  {
    key: 'max-download-attempts',
    kind: 'number',
    reload: true,
    help: "How often a layer's download is tried",
  },
  { key: 'metrics-addr', kind: 'text', help: 'Address to serve metrics on' },
  { key: 'mtu', kind: 'number', help: 'Largest packet on the default bridge' },
  {
    key: 'network-control-plane-mtu',
    kind: 'number',
    help: 'Accepted and not used: networks of several hosts need it',
  },
  {
    key: 'network-diagnostic-port',
    kind: 'number',
    help: 'Accepted and not used: networks of several hosts need it',
  },
  {
    key: 'no-new-privileges',
    kind: 'flag',
    help: "Let no container's process gain privileges, unless it says otherwise",
  },
  {
    key: 'no-proxy',
    kind: 'text',
    help: 'Hosts to reach without the proxy, separated by commas',
  },
  {
    key: 'node-generic-resources',
    flag: 'node-generic-resource',
    kind: 'list',
    help: 'Resource that this node offers',
  },
  {
    key: 'oom-score-adjust',
    kind: 'number',
    help: "The daemon's own place in the kernel's choice of victims",
  },
  { key: 'pidfile', short: 'p', kind: 'text', help: "File to write the daemon's process id to" },
  { key: 'raw-logs', kind: 'flag', help: 'Log without colours' },
  {
    key: 'registry-mirrors',
    flag: 'registry-mirror',
    kind: 'list',
    reload: true,
    help: 'Mirror of the Hub to ask first',
  },
  {
    key: 'registries',
    flag: '',
    kind: 'nested',
    reload: true,
    help: 'Mirrors, another place, or a block for single registries: see [registries](registries.md)',
  },
  { key: 'rootless', kind: 'flag', help: 'Run without root' },
  {
    key: 'seccomp-profile',
    kind: 'text',
    help: 'Seccomp profile of containers that name none; "unconfined" for none at all',
  },
  { key: 'selinux-enabled', kind: 'flag', help: 'Label containers for SELinux' },
  {
    key: 'shutdown-timeout',
    kind: 'number',
    reload: true,
    help: 'Seconds that stopping the containers may take when the daemon ends, -1 for no limit',
  },
  {
    key: 'storage-driver',
    short: 's',
    kind: 'text',
    help: 'Driver of root file systems: overlay2, overlay, fuse-overlayfs, btrfs or vfs',
  },
  { key: 'storage-opts', flag: 'storage-opt', kind: 'list', help: 'Option of the storage driver' },
  {
    key: 'swarm-default-advertise-addr',
    kind: 'text',
    help: 'Accepted and not used: there is no swarm mode',
  },
  { key: 'tls', kind: 'flag', help: 'Serve TLS, to any client' },
  { key: 'tlscacert', kind: 'text', help: 'Certificate authority of clients' },
  { key: 'tlscert', kind: 'text', help: 'Certificate of the server' },
  { key: 'tlskey', kind: 'text', help: 'Private key of the server' },
  { key: 'tlsverify', kind: 'flag', help: 'Serve TLS, to clients with a certificate only' },
  {
    key: 'userland-proxy',
    kind: 'flag',
    help: 'Relay connections that the firewall cannot lead, such as those to [::1]',
  },
  {
    key: 'userland-proxy-path',
    kind: 'text',
    help: 'Accepted and not used: the relay is part of the engine',
  },
  {
    key: 'userns-remap',
    kind: 'text',
    help: "User whose subordinate ids containers have instead of the host's; default for dockremap",
  },
]

/** Flags that are no settings. */
export const commandFlags: readonly Option[] = [
  { key: 'config-file', kind: 'text', help: 'Configuration file' },
  { key: 'help', short: 'h', kind: 'flag', help: 'Print usage' },
  { key: 'validate', kind: 'flag', help: 'Check the configuration, say what is wrong, and end' },
  { key: 'version', short: 'v', kind: 'flag', help: 'Print the version and end' },
]

/** The option's long flag; empty when it has none. */
export function flagName(option: Option): string {
  return option.flag ?? option.key
}
