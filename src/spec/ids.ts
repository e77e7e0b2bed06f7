/** Branded identifiers: strings that must not be mixed up. Parse once at the edge, trust inside. */

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** `sha256:` and 64 hex digits (or another algorithm of the OCI registry of algorithms). */
export type Digest = Branded<'Digest'>
/** Digest of a layer's uncompressed tar. */
export type DiffId = Branded<'DiffId'>
/** Digest that names a layer together with all below it (OCI image specification, "Layer ChainID"). */
export type ChainId = Branded<'ChainId'>
/** 64 lower-case hex digits. */
export type ContainerId = Branded<'ContainerId'>
/** 64 lower-case hex digits. */
export type NetworkId = Branded<'NetworkId'>
/** 64 lower-case hex digits. */
export type ExecId = Branded<'ExecId'>

const hex64 = /^[0-9a-f]{64}$/

/** Brands 64 hex digits as a container id. Throws a TypeError for anything else: callers own validation. */
export function containerId(text: string): ContainerId {
  if (!hex64.test(text)) throw new TypeError(`not a container id: ${text}`)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function grants
  return text as ContainerId
}

/** Brands 64 hex digits as a network id. */
export function networkId(text: string): NetworkId {
  if (!hex64.test(text)) throw new TypeError(`not a network id: ${text}`)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function grants
  return text as NetworkId
}

/** Brands 64 hex digits as an exec id. */
export function execId(text: string): ExecId {
  if (!hex64.test(text)) throw new TypeError(`not an exec id: ${text}`)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function grants
  return text as ExecId
}

const digestPattern = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

/** Whether the text is a digest of an algorithm that Wharf verifies. */
export function isDigest(text: string): text is Digest {
  return digestPattern.test(text)
}

/** Algorithms of digests. */
export type DigestAlgorithm = 'sha256' | 'sha512'

/** The algorithm of a digest. */
export function algorithmOf(id: Digest | DiffId | ChainId): DigestAlgorithm {
  return id.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** A digest of as many hex digits. */
export function digestOfHex(hex: string): Digest | undefined {
  const text = `${hex.length === 128 ? 'sha512' : 'sha256'}:${hex}`
  return isDigest(text) ? text : undefined
}

/** Brands a digest. Throws a TypeError for anything else: callers own validation. */
export function digest(text: string): Digest {
  if (!isDigest(text)) throw new TypeError(`not a digest: ${text}`)
  return text
}

/** A digest known to be a layer's diff id. */
export function diffId(text: string): DiffId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function grants
  return digest(text) as string as DiffId
}

/** A digest known to be a chain id. */
export function chainId(text: string): ChainId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function grants
  return digest(text) as string as ChainId
}
