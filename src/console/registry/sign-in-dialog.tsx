/** Signing in with a name and a password. */
import { useState } from 'preact/hooks'
import type { PageSignIn } from '../../spec/registry-page.ts'
import { Dialog } from '../shared/dialog.tsx'
import { errorText } from '../shared/loading.tsx'
import { api } from './api.ts'
import { useSession } from './session.tsx'

/** See the file's head. */
export function SignInDialog({ onClose, onSignedIn }: { onClose: () => void; onSignedIn: () => void }) {
  const { status } = useSession()
  const [proof, setProof] = useState({ name: '', password: '' })
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)
  const submit = async () => {
    setBusy(true)
    setProblem('')
    try {
      await api.signIn(proof)
      onSignedIn()
      onClose()
    } catch (error) {
      // Said in the dialog, where it can be tried again.
      setProblem(errorText(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title="Sign in" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <p class="muted">
          With the name and password of <code>docker login {status.host}</code>.
        </p>
        <ProofFields proof={proof} change={setProof} />
        {problem !== '' && (
          <p class="problem-text" role="alert">
            {problem}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            Sign in
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function ProofFields({ proof, change }: { proof: PageSignIn; change: (proof: PageSignIn) => void }) {
  return (
    <>
      <label class="field">
        <span>Name</span>
        <input
          type="text"
          name="username"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          autoFocus
          value={proof.name}
          onInput={(event) => change({ ...proof, name: event.currentTarget.value })}
        />
      </label>
      <label class="field">
        <span>Password</span>
        <input
          type="password"
          name="password"
          autocomplete="current-password"
          required
          value={proof.password}
          onInput={(event) => change({ ...proof, password: event.currentTarget.value })}
        />
      </label>
    </>
  )
}
