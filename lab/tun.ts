import type { ChildProcess } from 'node:child_process'
import { firstLine } from './children.ts'

export interface TunTools {
  readonly exec: (command: string, ...args: string[]) => Promise<string>
  readonly spawn: (command: string, ...args: string[]) => ChildProcess
}

// TUNSETIFF as on x86 and ARM (_IOW('T', 202, int)), with IFF_TUN | IFF_NO_PI. $^F: the file stays open over exec.
const openTun = `$^F = 255; my ($name, @command) = @ARGV;
open(my $tun, '+<', '/dev/net/tun') or die "/dev/net/tun: $!\\n";
ioctl($tun, 0x400454ca, pack('a16 s x22', $name, 0x1001)) or die "TUNSETIFF: $!\\n";
splice(@command, 2, 0, fileno($tun)); exec(@command) or die "$command[0]: $!\\n";`

/** Delays packets by their firewall mark, which is the delay in milliseconds; one device and one program for each delay. */
export function delayer({ exec, spawn }: TunTools): (ms: number) => Promise<void> {
  const made = new Map<number, Promise<void>>()
  const make = async (ms: number) => {
    const name = `late${ms}`
    const child = spawn('perl', '-e', openTun, name, process.execPath, `${import.meta.dirname}/delay.ts`, `${ms}`)
    await firstLine(child)
    await exec('ip', 'link', 'set', name, 'up')
    for (const version of ['-4', '-6']) {
      await exec('ip', version, 'route', 'add', 'default', 'dev', name, 'table', `${1000 + ms}`)
      await exec('ip', version, 'rule', 'add', 'pref', '10', 'fwmark', `${ms}`, 'lookup', `${1000 + ms}`)
    }
  }
  return (ms) => {
    const one = made.get(ms) ?? make(ms)
    made.set(ms, one)
    return one
  }
}
