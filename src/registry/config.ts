/**
 * Settings of the registry: one YAML file, over that the reference registry's REGISTRY_* variables, over that the
 * command line. Everything has a value without any of them.
 */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseDuration } from '../lib/duration.ts'
import { ramInBytes } from '../lib/units.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { environmentSettings, type Environment } from './config-environment.ts'

/** A duration as Go writes it (`90s`, `168h`), in milliseconds. */
const duration = z.string().transform((text, context) => {
  try {
    return parseDuration(text) / 1e6
  } catch (error) {
    context.addIssue({ code: 'custom', message: errorMessage(error) })
    return z.NEVER
  }
})
const bytes = z.union([z.number().int().nonnegative(), z.string()]).transform((value, context) => {
  try {
    return typeof value === 'number' ? value : ramInBytes(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: errorMessage(error) })
    return z.NEVER
  }
})
const text = z.string()

const rule = z.strictObject({
  /** Globs: `*` within a component, `**` across them. */
  repositories: z.array(text).min(1),
  users: z.array(text).default([]),
  groups: z.array(text).default([]),
  /** Everybody, signed in or not. */
  anonymous: z.boolean().default(false),
  actions: z.array(z.enum(['pull', 'push', 'delete'])),
})
const retentionRule = z.strictObject({
  repositories: z.array(text).min(1),
  /** Tags that the rule is about; all when empty. */
  tags: z.array(text).default([]),
  keepLast: z.number().int().nonnegative().optional(),
  keepWithin: duration.optional(),
})
const webhook = z.strictObject({
  name: text,
  url: z.url(),
  headers: z.record(text, z.union([text, z.array(text)])).default({}),
  timeout: duration.default(5_000),
  actions: z.array(z.enum(['push', 'pull', 'delete', 'mount'])).default([]),
})
const upstream = z
  .strictObject({
    /** Repositories below this prefix come from there; empty: all. */
    prefix: text.default(''),
    /** Names of this registry that stand for the upstream: there, repositories need no prefix. */
    hosts: z.array(text).default([]),
    url: z.url(),
    username: text.default(''),
    password: text.default(''),
    /** How long a tag is believed before the upstream is asked again. */
    ttl: duration.default(60_000),
    missingTtl: duration.default(10_000),
    /** `OS/ARCHITECTURE[/VARIANT]`: images for others are not fetched; empty: all are. */
    platforms: z.array(text.regex(/^[^/\s]+\/[^/\s]+(\/[^/\s]+)?$/)).default([]),
  })
  .refine(({ prefix, hosts }) => prefix !== '' || hosts.length === 0, 'hosts need a prefix')
const s3 = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: text.default('us-east-1'),
  bucket: text.min(3),
  /** Everything lies below this folder of the bucket. */
  prefix: text.default(''),
  accessKey: text.default(''),
  secretKey: text.default(''),
  sessionToken: text.default(''),
  /** The bucket in the host's name (BUCKET.HOST) rather than in the path. */
  virtualHosted: z.boolean().default(false),
  /** A file of certificates to trust instead of the system's. */
  ca: text.default(''),
  verify: z.boolean().default(true),
  partSize: bytes.default(16 << 20).refine((size) => size >= 5 << 20, 'parts are at least 5m'),
  /** Sends clients to the bucket for blobs. */
  redirect: z.boolean().default(false),
  redirectExpiry: duration.default(20 * 60_000),
  /** Where other processes on the bucket reach this one, to pass pieces of its uploads on. */
  peer: z.url({ protocol: /^https?$/ }).optional(),
  /** How old an answer may be when other processes use the bucket too. */
  follow: duration.default(1_000),
})
const schema = z.strictObject({
  addr: text.default('127.0.0.1:5000'),
  data: text.default('/var/lib/registry'),
  /** Where blobs and links lie, if not in the folder; index and half uploads stay there. */
  s3: s3.optional(),
  externalUrl: text.default(''),
  relativeUrls: z.boolean().default(false),
  headers: z.record(text, text).default({}),
  readOnly: z.boolean().default(false),
  delete: z.boolean().default(true),
  tls: z.strictObject({ certificate: text, key: text, clientCa: text.default('') }).optional(),
  users: z
    .strictObject({
      htpasswd: text,
      realm: text.default('Wharf registry'),
      groups: z.record(text, z.array(text)).default({}),
      /** Who may collect garbage and read the metrics. */
      admins: z.array(text).default([]),
    })
    .optional(),
  rules: z.array(rule).default([]),
  tokens: z
    .strictObject({
      service: text.default('wharf-registry'),
      lifetime: duration.default(300_000),
      /** Set where somebody else issues the tokens. */
      outside: z
        .strictObject({
          realm: z.url({ protocol: /^https?$/ }),
          issuer: text,
          /** Files: certificates and public keys in PEM, and a JSON Web Key Set. One of them is needed. */
          certificates: text.default(''),
          jwks: text.default(''),
          /** Whether the page passes names and passwords of people who sign in on to the realm. */
          signIn: z.boolean().default(false),
        })
        .optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      manifest: bytes.default(4 << 20),
      blob: bytes.default(Number.MAX_SAFE_INTEGER),
      minChunk: bytes.default(0),
      page: z.number().int().positive().default(1000),
      /** Of one address. */
      requestsPerSecond: z.number().nonnegative().default(0),
      /** Of one user, from wherever. */
      userRequestsPerSecond: z.number().nonnegative().default(0),
      connections: z.number().int().nonnegative().default(0),
      /** Bytes for each first component of names. */
      namespaces: z.record(text, bytes).default({}),
    })
    .prefault({}),
  timeouts: z
    .strictObject({
      /** Until a request's headers are there. */
      header: duration.default(30_000),
      /** Until the next bytes of a body come, or the next ones of an answer are taken. */
      idle: duration.default(60_000),
      /** Until a request is there whole; 0 for as long as it takes. */
      request: duration.default(0),
      /** For requests under way when the registry ends. */
      drain: duration.default(0),
    })
    .prefault({}),
  uploads: z.strictObject({ expiry: duration.default(7 * 24 * 3_600_000) }).prefault({}),
  collect: z
    .strictObject({
      /** 0 for never by itself. */
      every: duration.default(0),
      grace: duration.default(3_600_000),
      untagged: z.boolean().default(false),
      retention: z.array(retentionRule).default([]),
    })
    .prefault({}),
  webhooks: z.array(webhook).default([]),
  upstreams: z.array(upstream).default([]),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['text', 'json']).default('text'),
      access: z.boolean().default(true),
    })
    .prefault({}),
})

/** All settings, checked. */
export type RegistryConfig = z.infer<typeof schema>
/** A bucket. */
export type S3Config = z.infer<typeof s3>
/** A rule about who may do what. */
export type AccessRule = z.infer<typeof rule>
/** A rule about which tags stay. */
export type RetentionRule = z.infer<typeof retentionRule>
/** An address that is told what happens. */
export type WebhookConfig = z.infer<typeof webhook>
/** A registry that this one caches. */
export type UpstreamConfig = z.infer<typeof upstream>
/** Checks settings. Throws `invalid`. */
export function checkConfig(value: unknown): RegistryConfig {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new EngineError(
    'invalid',
    `invalid configuration: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  )
}

/** Reads and merges all sources. Throws `invalid`. */
export async function loadConfig(sources: {
  file: string | undefined
  environment: Environment
  flags: Record<string, unknown>
}): Promise<RegistryConfig> {
  const fromFile = sources.file === undefined ? {} : await readYaml(sources.file)
  return checkConfig(merge(merge(fromFile, environmentSettings(sources.environment)), sources.flags))
}

/** `HOST:PORT` taken apart; the host of `:PORT` is empty, which is every address. Throws `invalid`. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new EngineError('invalid', `invalid address: ${address}`)
  return { host: match[1] ?? match[2] ?? '', port }
}

async function readYaml(path: string): Promise<Record<string, unknown>> {
  let value: unknown
  try {
    value = parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new EngineError('invalid', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
  if (value === null || value === undefined) return {}
  if (!isObject(value)) throw new EngineError('invalid', `${path} is not a mapping`)
  return value
}

function merge(below: Record<string, unknown>, above: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...below }
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue
    const old = merged[key]
    merged[key] = isObject(old) && isObject(value) ? merge(old, value) : value
  }
  return merged
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
