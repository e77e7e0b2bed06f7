/** The examples of Amazon's S3 documentation, "Signature Calculations for the Authorization Header" and "Query Parameters". */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeS3, presignedQuery, sha256Hex, signedHeaders } from './s3-signature.ts'

const credentials = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: '',
}
const signer = { credentials, region: 'us-east-1', now: new Date('2013-05-24T00:00:00Z') }
const host = 'examplebucket.s3.amazonaws.com'
const empty = sha256Hex('')

function signatureOf(request: Parameters<typeof signedHeaders>[0], payloadHash: string): string {
  return signedHeaders(request, payloadHash, signer)['authorization']?.replace(/^.*Signature=/, '') ?? ''
}

test('GET of an object with a range', () => {
  const request = { method: 'GET', host, path: '/test.txt', query: {}, headers: { range: 'bytes=0-9' } }
  assert.equal(
    signatureOf(request, empty),
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  )
})

test('PUT of an object whose name is escaped', () => {
  const path = `/${escapeS3('test$file.text', true)}`
  const headers = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }
  assert.equal(
    signatureOf({ method: 'PUT', host, path, query: {}, headers }, sha256Hex('Welcome to Amazon S3.')),
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  )
})

test('listing with a query', () => {
  const query = { 'max-keys': '2', prefix: 'J' }
  assert.equal(
    signatureOf({ method: 'GET', host, path: '/', query, headers: {} }, empty),
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  )
})

test('a URL that carries its own proof', () => {
  const request = { method: 'GET', host, path: '/test.txt', query: {}, headers: {} }
  assert.match(
    presignedQuery(request, 86_400, signer),
    /&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/,
  )
})
