/** Handing a descriptor to another process, over a unix socket. */
import koffi from 'koffi'
import { libcCall } from './ffi.ts'

// <sys/uio.h>, <sys/socket.h>
koffi.struct('PassedPart', { base: 'const uint8_t *', length: 'size_t' })
koffi.struct('PassedMessage', {
  name: 'const uint8_t *',
  nameLength: 'uint32_t',
  parts: 'PassedPart *',
  partCount: 'size_t',
  control: 'const uint8_t *',
  controlLength: 'size_t',
  flags: 'int',
})
const sendmsgCall = libcCall('sendmsg', 'long sendmsg(int fd, const PassedMessage *message, int flags)')

const socketLevel = 1
const rights = 1
const noSignalDontWait = 0x4000 | 0x40
/** A size of eight bytes, level and type of four each, the descriptor. */
const controlBytes = 20
const controlSpace = 24

/** Sends data and with it a descriptor, which stays open here. Throws a KernelError, also when not all was sent. */
export function sendDescriptor(socket: number, data: Buffer, descriptor: number): void {
  const control = Buffer.alloc(controlSpace)
  control.writeBigUInt64LE(BigInt(controlBytes), 0)
  control.writeInt32LE(socketLevel, 8)
  control.writeInt32LE(rights, 12)
  control.writeInt32LE(descriptor, 16)
  const message = {
    name: null,
    nameLength: 0,
    parts: [{ base: data, length: data.length }],
    partCount: 1,
    control,
    controlLength: controlSpace,
    flags: 0,
  }
  const sent = sendmsgCall(`descriptor ${descriptor}`, socket, message, noSignalDontWait)
  if (sent !== data.length) throw new Error(`only ${sent} of ${data.length} bytes went with a descriptor`)
}
