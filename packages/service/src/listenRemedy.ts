/** What to do where the port cannot be opened. */
export function listenRemedy(error: unknown, port: number): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `Stop what uses port ${port} (ss -ltnp shows it), or give another one with PINTAIL_PORT, or none with PINTAIL_HTTP=off.`
  if (code === 'EACCES') return `Ports below 1024 need a right that this user does not have: give a higher one with PINTAIL_PORT.`
  if (code === 'EADDRNOTAVAIL') return 'This machine has no such address: give one of its own with PINTAIL_HOST, or 0.0.0.0 for all.'
  return 'Check PINTAIL_HOST and PINTAIL_PORT, or serve none with PINTAIL_HTTP=off.'
}
