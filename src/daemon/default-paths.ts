/** Where things are when no setting says. */

/** Defaults of the paths that settings may change. */
export const defaultPaths = {
  dataRoot: '/var/lib/wharf',
  execRoot: '/run/wharf',
  socket: '/run/wharf.sock',
  pidFile: '/run/wharf.pid',
  tlsDirectory: '/etc/wharf/tls',
}
