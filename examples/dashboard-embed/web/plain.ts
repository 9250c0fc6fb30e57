import '@pintail/dashboard/define'
import type { PintailSession } from '@pintail/dashboard'
import { freshToken } from './signIn.ts'

const session = document.querySelector<PintailSession>('pintail-session')
const who = document.querySelector('#who')

/** The token is a property, so that it never stands in the markup. */
async function signIn(): Promise<void> {
  if (!session || !who) return
  session.token = await freshToken()
  // Only now: with a `url` in the markup the elements would ask before there is a token.
  session.url = '/backoffice/pintail'
  session.hidden = false
  who.textContent = 'Signed in.'
}

// The token has ended: the host signs in again, and the elements go on.
let isSigningIn = false
session?.addEventListener('pintail-unauthorized', () => {
  if (isSigningIn) return
  isSigningIn = true
  void signIn().finally(() => {
    isSigningIn = false
  })
})
void signIn()
