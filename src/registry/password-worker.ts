/** Compares passwords with their hashes off the main thread: bcrypt is slow on purpose, and would hold up everybody. */
import { compare } from 'bcryptjs'
import { serveJobs } from '../lib/worker-jobs.ts'

/** A password, and the hash that it may have. */
export type PasswordJob = { password: string; hash: string }

serveJobs(async ({ password, hash }: PasswordJob): Promise<boolean> => await compare(password, hash))
