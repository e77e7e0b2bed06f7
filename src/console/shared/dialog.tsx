/** Dialogs: the browser's own, which keep the focus inside and close with Escape. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { errorText } from './loading.tsx'

/** A dialog that is open for as long as it is there. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string
  onClose: () => void
  children: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    // Closing gives the focus back to where it was; being removed would not.
    return () => element?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={(event) => {
        // The dialog itself is hit only where its content is not: beside it.
        if (event.target === event.currentTarget) event.currentTarget.close()
      }}
    >
      <div class="dialog-content">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  )
}

/** What a dialog asks before something is done that cannot be undone. */
export type Question = {
  title: string
  children: ComponentChildren
  /** What the button says that does it. */
  action: string
  /** A word that has to be typed first. */
  word?: string
  run: () => Promise<void>
}

/** Asks, does it, and closes; stays open and says why when it failed. */
export function Confirm({ question, onClose }: { question: Question; onClose: () => void }) {
  const { title, children, action, word, run } = question
  const [typed, setTyped] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const submit = async () => {
    setBusy(true)
    try {
      await run()
      onClose()
    } catch (error) {
      // Said in the dialog, where it can be tried again.
      setProblem(errorText(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        {children}
        {word !== undefined && (
          <label class="field">
            <span>
              Type <strong>{word}</strong> to go on
            </span>
            <input
              type="text"
              autocomplete="off"
              spellcheck={false}
              autoFocus
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
        {problem !== '' && (
          <p class="problem-text" role="alert">
            {problem}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" onClick={onClose} autoFocus={word === undefined}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={isBusy || (word !== undefined && typed !== word)}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
