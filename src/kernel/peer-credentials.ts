/** Who is on the other end of a unix socket. */
import { libcFunction } from './ffi.ts'

const getsockopt = libcFunction(
  'int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)',
)

// <asm-generic/socket.h>
const solSocket = 1
const soPeercred = 17

/** Process, user and group of the peer when it connected (struct ucred); undefined for sockets that have none. */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } | undefined {
  const credentials = Buffer.alloc(12)
  const length = [credentials.length]
  if (getsockopt(fd, solSocket, soPeercred, credentials, length) !== 0) return undefined
  const pid = credentials.readInt32LE(0)
  // A TCP socket answers with pid 0 and no user.
  return pid === 0 ? undefined : { pid, uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) }
}
