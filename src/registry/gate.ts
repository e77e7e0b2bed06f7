/** Who may do what: the seam between the HTTP server and the ways of proving who one is. */
import type { IncomingMessage } from 'node:http'
import type { RegistryError } from './errors.ts'
import type { Action, Caller } from './exchange.ts'

/** What a request needs, for a repository. */
export type Need = { repository: string; actions: readonly Action[] }

/** Signing in by name and password, as people do on the web page. */
export interface PasswordSignIn {
  /** Whether the password is the user's. */
  check(name: string, password: string): Promise<boolean>
  /** A secret that is another one after the user's password has changed; undefined where there is no such user. */
  secretOf(name: string): string | undefined
  /** Somebody who has signed in. */
  caller(name: string): Caller
}

/** Signing in at an issuer of tokens: who has signed in is asked for again and again, since rights may change there. */
export interface IssuerSignIn {
  /** Somebody with a name and password; undefined where one of them is wrong. */
  callerOf(proof: { name: string; password: string }): Promise<Caller | undefined>
}

/** See the file's head. */
export interface Gate {
  /**
   * How people sign in on the page: by password, here or at an issuer; not at all, where everybody may do everything;
   * with tokens that others issue, which the page has none of.
   */
  readonly signIn: PasswordSignIn | IssuerSignIn | 'open' | 'elsewhere'
  /** Who asks. Throws UNAUTHORIZED for wrong proofs; somebody without any is nobody, not an error. */
  identify(request: IncomingMessage): Promise<Caller>
  /** Whether a caller counts as signed in for `GET /v2/`. */
  isSignedIn(caller: Caller): boolean
  /** Throws where the catalog is for those who have proved who they are alone; else it shows what the caller sees. */
  checkCatalog(request: IncomingMessage, caller: Caller): void
  /** The answer to a caller who may not: UNAUTHORIZED with a challenge, or DENIED. */
  refusal(request: IncomingMessage, caller: Caller, need: Need | undefined): RegistryError
}

/** Lets everybody do everything: a registry without users. */
export const openGate: Gate = {
  signIn: 'open',
  identify: () => Promise.resolve({ name: '', may: () => true, sees: () => true, isAdmin: true }),
  isSignedIn: () => true,
  checkCatalog: () => {},
  refusal: () => {
    throw new Error('an open registry refuses nobody')
  },
}
