import '@pintail/dashboard/define'
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { freshToken } from './signIn.ts'

type Tab = 'migrations' | 'incidents' | 'maintenance'

function BackOffice() {
  const [token, setToken] = useState<string | null>(null)
  const [tab, setTab] = useState<Tab>('migrations')
  const signIn = () => void freshToken().then(setToken)
  useEffect(signIn, [])
  const tabs: readonly [Tab, string][] = [
    ['migrations', 'What moves'],
    ['incidents', 'Incidents'],
    ['maintenance', 'Maintenance'],
  ]
  return (
    <>
      <header>
        <h1>Back office</h1>
        <p id="who">{token === null ? 'Signing in…' : 'Signed in.'}</p>
      </header>
      {token !== null && (
        <pintail-session url="/backoffice/pintail" token={token} onpintail-unauthorized={signIn}>
          <nav>
            {tabs.map(([name, label]) => (
              <button key={name} type="button" aria-pressed={tab === name} onClick={() => setTab(name)}>
                {label}
              </button>
            ))}
          </nav>
          {tab === 'migrations' && <pintail-migrations />}
          {tab === 'incidents' && (
            <>
              <pintail-incident />
              <pintail-why />
            </>
          )}
          {tab === 'maintenance' && <pintail-plan />}
        </pintail-session>
      )}
    </>
  )
}

const root = document.querySelector('#root')
if (root) createRoot(root).render(<BackOffice />)
