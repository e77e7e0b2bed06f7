/** What a client needs of a stream to an engine. Node's own streams are such, and Bun's sockets are made to be. */
export interface Connection {
  readonly destroyed: boolean
  /** Bytes that have been read and not been given to a listener. */
  readonly readableLength: number
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'end' | 'close' | 'drain', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  once(event: 'end' | 'close' | 'drain', listener: () => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'data', listener: (chunk: Buffer) => void): unknown
  off(event: 'end' | 'close' | 'drain', listener: () => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  pause(): unknown
  resume(): unknown
  /** False when it should be waited for `drain` before more is written. */
  write(bytes: Uint8Array): boolean
  /** Ends the sending side. */
  end(): unknown
  destroy(): unknown
}
