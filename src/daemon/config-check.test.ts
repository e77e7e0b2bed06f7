import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mergeSettings, parseConfig } from './config.ts'

const read = (value: object) => mergeSettings(new Map(), parseConfig(JSON.stringify(value)), '/f')

const refusals: [settings: Record<string, unknown>, message: string | RegExp][] = [
  [{ bip: '10.1.2.3' }, 'bip: invalid CIDR address: 10.1.2.3'],
  [{ bip: 'fd00::1/64' }, 'bip: invalid CIDR address: fd00::1/64'],
  [{ bip: '10.1.2.0/24' }, 'bip: 10.1.2.0/24 is the address of the subnet itself'],
  [{ bip6: '10.1.2.3/24' }, 'bip6: invalid CIDR address: 10.1.2.3/24'],
  [{ 'fixed-cidr': '10.1.2' }, 'fixed-cidr: invalid CIDR address: 10.1.2'],
  [{ bip: '10.1.2.1/24', 'fixed-cidr': '10.1.3.0/25' }, 'fixed-cidr: 10.1.3.0/25 is not within 10.1.2.1/24'],
  [{ bip: '10.1.2.1/24', 'fixed-cidr': '10.1.0.0/16' }, /^fixed-cidr: /],
  [{ 'fixed-cidr-v6': '10.1.2.0/24' }, 'fixed-cidr-v6: invalid CIDR address: 10.1.2.0/24'],
  [{ ip: '1.2.3.4.5' }, 'ip: invalid IP address: 1.2.3.4.5'],
  [{ 'host-gateway-ips': ['here'] }, 'host-gateway-ips: invalid IP address: here'],
  [{ 'default-gateway': 'nowhere' }, 'default-gateway: invalid IP address: nowhere'],
  [{ 'default-gateway': 'fd00::1' }, 'default-gateway: invalid IP address: fd00::1'],
  [{ 'default-gateway-v6': '10.0.0.1' }, 'default-gateway-v6: invalid IP address: 10.0.0.1'],
  [
    { bip: '10.1.2.1/24', 'default-gateway': '10.9.9.9' },
    'default-gateway: auxiliary address: (DefaultGatewayIPv4:10.9.9.9) must belong to the master pool: 10.1.2.0/24',
  ],
  [
    { 'default-address-pools': [{ base: 'x', size: 24 }] },
    'default-address-pools: invalid base pool "x": invalid CIDR address: x',
  ],
  [
    { 'default-address-pools': [{ base: '10.0.0.0/16', size: 8 }] },
    'default-address-pools: invalid pool size 8 for base pool "10.0.0.0/16"',
  ],
  [
    { 'default-address-pools': [{ base: '10.0.0.0/16', size: 33 }] },
    /^default-address-pools: invalid pool size/,
  ],
  [{ 'default-address-pools': [{ base: '10.0.0.0/16' }] }, /Config\.default-address-pools/],
  [{ dns: ['x'] }, 'dns: ip address is not correctly formatted: "x"'],
  [{ 'dns-search': ['a b'] }, 'dns-search: a b is not a valid domain'],
  [{ 'dns-search': ['1.2'] }, 'dns-search: 1.2 is not a valid domain'],
  [{ 'dns-opts': [''] }, 'dns-opts: "" is not a resolver option'],
  [{ 'dns-opts': ['ndots:1\nnameserver 1.1.1.1'] }, /^dns-opts: /],
  [{ mtu: -1 }, 'invalid default MTU: -1'],
  [{ mtu: 67 }, 'invalid default MTU: 67'],
  [{ mtu: 65_536 }, 'invalid default MTU: 65536'],
  [
    { 'registry-mirrors': ['mirror:5000'] },
    /^invalid mirror: no scheme specified for "mirror:5000": must use/,
  ],
  [{ 'registry-mirrors': ['ftp://m'] }, /^invalid mirror: unsupported scheme "ftp" in "ftp:\/\/m": must use/],
  [{ 'registry-mirrors': ['https://m:x'] }, 'invalid mirror: "https://m:x" is not a valid URI'],
  [
    { 'registry-mirrors': ['https://m?a'] },
    'invalid mirror: query or fragment at end of the URI "https://m?a"',
  ],
  [
    { 'registry-mirrors': ['https://u:p@m'] },
    /^invalid mirror: username\/password not .*"https:\/\/u:xxxxx@m\/"$/,
  ],
  [{ 'insecure-registries': ['-x'] }, 'invalid index name (-x). Cannot begin or end with a hyphen'],
  [{ 'insecure-registries': ['x/y'] }, 'insecure registry x/y is not valid: invalid host "x/y"'],
  [{ 'insecure-registries': ['ftp://x'] }, "insecure registry ftp://x should not contain '://'"],
  [{ 'insecure-registries': ['x:99999'] }, 'insecure registry x:99999 is not valid: invalid port "99999"'],
  [{ 'insecure-registries': ['10.0.0.0/33'] }, /^insecure registry 10\.0\.0\.0\/33 is not valid/],
  [
    { proxies: { 'http-proxy': 'http://p', foo: '', bar: '' } },
    "the following directives don't match any configuration option: proxies.foo, proxies.bar",
  ],
  [
    { proxies: { 'http-proxy': 1 } },
    /^json: cannot unmarshal number .* Proxies\.proxies\.http-proxy of type string$/,
  ],
  [{ 'https-proxy': 'http://[p' }, 'invalid https-proxy: "http://[p" is not a valid URI'],
  [
    { 'seccomp-profile': '/nope' },
    'opening seccomp profile (/nope) failed: open /nope: no such file or directory',
  ],
  [
    { 'default-ulimits': { nofile: { Name: 'nofile', Soft: 5, Hard: 3 } } },
    'default-ulimits: ulimit soft limit must be less than or equal to hard limit: 5 > 3',
  ],
  [{ 'default-ulimits': { nofiles: { Soft: 1, Hard: 1 } } }, 'default-ulimits: invalid ulimit type: nofiles'],
  [{ 'default-ulimits': { nofile: { Soft: 'x' } } }, 'default-ulimits: invalid ulimit argument: nofile'],
  [{ 'default-shm-size': 'x' }, "default-shm-size: invalid size: 'x'"],
  [{ 'default-shm-size': -1 }, "default-shm-size: invalid size: '-1'"],
  [{ runtimes: { runc: { path: '/x' } } }, "runtime name 'runc' is reserved"],
  [{ runtimes: { r: {} } }, 'runtime r: either a runtimeType or a path must be configured'],
  [
    { runtimes: { r: { path: '/x', runtimeType: 'y' } } },
    /^runtime r: cannot configure both path and runtimeType/,
  ],
  [{ 'default-runtime': 'r' }, "specified default runtime 'r' does not exist"],
  [{ hosts: ['udp://x'] }, "invalid bind address (udp://x): unsupported proto 'udp'"],
  [{ hosts: ['tcp://h:99999'] }, 'invalid bind address (tcp://h:99999): invalid port 99999'],
  [
    { tls: true, tlscert: '/nope' },
    'tlscert: could not load X509 key pair: open /nope: no such file or directory',
  ],
  [
    { tlsverify: true, tlscert: '/dev/null', tlskey: '/nope' },
    /^tlskey: could not load X509 key pair: open \/nope/,
  ],
  [
    { tls: true, tlscert: '/etc/passwd', tlskey: '/etc/passwd' },
    /^could not load X509 key pair \(tlscert, tlskey\): /,
  ],
  [{ 'max-concurrent-downloads': -1 }, 'invalid max concurrent downloads: -1'],
  [{ 'max-concurrent-uploads': -2 }, 'invalid max concurrent uploads: -2'],
  [{ 'max-download-attempts': -3 }, 'invalid max download attempts: -3'],
  [{ 'max-concurrent-uploads': 1.5 }, /Config\.max-concurrent-uploads of type int$/],
  [{ 'shutdown-timeout': '3' }, /Config\.shutdown-timeout of type int$/],
]

test('values that could not be followed are refused when the configuration is read', () => {
  for (const [value, message] of refusals) {
    assert.throws(() => read(value), { kind: 'invalid', message }, JSON.stringify(value))
  }
})

test('a seccomp profile that is none is refused', () => {
  const root = mkdtempSync(join(tmpdir(), 'wharf-seccomp-'))
  try {
    const path = join(root, 'profile')
    writeFileSync(path, '{')
    assert.throws(() => read({ 'seccomp-profile': path }), {
      message: /^seccomp-profile: .*: Decoding seccomp/,
    })
    writeFileSync(path, '{"syscalls": 1}')
    assert.throws(() => read({ 'seccomp-profile': path }), {
      message: /^seccomp-profile: .*: Decoding seccomp/,
    })
    writeFileSync(path, '{"defaultAction": "SCMP_ACT_ALLOW"}')
    read({ 'seccomp-profile': path })
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('values that Docker takes are taken', () => {
  const taken: Record<string, unknown>[] = [
    { bip: '10.1.2.1/24', 'fixed-cidr': '10.1.2.128/25', 'default-gateway': '10.1.2.254' },
    { 'fixed-cidr-v6': 'fd00:1::/64', 'default-gateway-v6': 'fd00:1::9', ip: '::' },
    {
      'default-address-pools': [
        { base: '10.0.0.0/8', size: 24 },
        { base: 'fd00:2::/56', size: 64 },
      ],
    },
    { dns: ['1.1.1.1', 'fd00::53'], 'dns-search': ['.', 'example.test.', 'a-b.c'], 'dns-opts': ['ndots:1'] },
    { mtu: 0, 'max-concurrent-downloads': 0, 'shutdown-timeout': -1, 'default-shm-size': '1g' },
    { 'registry-mirrors': ['https://m:5000/path', 'http://[::1]:5000'] },
    { 'insecure-registries': ['x', 'x.test:5000', '10.0.0.0/8', '[::1]:5000', 'fd00::/8', '::1'] },
    { proxies: { 'http-proxy': 'http://p:1', 'https-proxy': '', 'no-proxy': '*.test' }, 'no-proxy': 'x' },
    {
      runtimes: { crun: { path: 'crun' }, r: { path: '/usr/bin/r', runtimeArgs: ['--x'] } },
      'default-runtime': 'r',
    },
    { 'default-ulimits': { nofile: { Name: 'nofile', Soft: 5, Hard: -1 } } },
    { 'seccomp-profile': 'unconfined', hosts: ['fd://', 'unix:///x', 'tcp://127.0.0.1'] },
  ]
  for (const value of taken) read(value)
})
