/** A token of the host's own, from its own endpoint. */
export async function freshToken(): Promise<string> {
  const response = await fetch('/session', { method: 'POST' })
  if (!response.ok) throw new Error(`the host refuses to sign in: ${response.status}`)
  const { token } = (await response.json()) as { token: string }
  return token
}
