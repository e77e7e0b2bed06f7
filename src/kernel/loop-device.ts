/** Loop devices: a file as a block device, for as long as it is mounted (linux/loop.h, LOOP_CONFIGURE, Linux 5.8). */
import { closeSync, constants, openSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'

const controlCall = libcCall('ioctl', 'int ioctl(int fd, unsigned long request, long argument)')
const configureCall = libcCall('ioctl', 'int ioctl(int fd, unsigned long request, const uint8_t *argument)')

const getFree = 0x4c82
const configure = 0x4c0a
/** sizeof(struct loop_config), and where the flags of its loop_info64 stand. */
const configBytes = 304
const flagsOffset = 8 + 52
const readOnlyFlag = 1
const autoClearFlag = 4
const maxAttempts = 16

/** A block device that holds a file's content. It goes when it is disposed and nobody has it mounted any more. */
export type LoopDevice = Disposable & { path: string }

/** Attaches a file to a free loop device. Throws a system error. */
export function attachLoop(file: string, options: { readOnly: boolean }): LoopDevice {
  const access = options.readOnly ? constants.O_RDONLY : constants.O_RDWR
  const backing = openSync(file, access)
  const control = openSync('/dev/loop-control', constants.O_RDWR)
  try {
    for (let attempt = 1; ; attempt++) {
      const path = `/dev/loop${controlCall('no free loop device', control, getFree, 0)}`
      const device = openSync(path, access)
      try {
        configureCall(`${file} as ${path}`, device, configure, loopConfig(backing, options.readOnly))
        return { path, [Symbol.dispose]: () => closeSync(device) }
      } catch (error) {
        closeSync(device)
        // Somebody else was faster.
        if (errorCode(error) !== 'EBUSY' || attempt === maxAttempts) throw error
      }
    }
  } finally {
    closeSync(control)
    closeSync(backing)
  }
}

function loopConfig(backing: number, readOnly: boolean): Buffer {
  const config = Buffer.alloc(configBytes)
  config.writeUInt32LE(backing, 0)
  config.writeUInt32LE(autoClearFlag | (readOnly ? readOnlyFlag : 0), flagsOffset)
  return config
}
