/** What can be done with the keyboard. */
import { Dialog } from '../shared/dialog.tsx'

const keys: [keys: string[], what: string][] = [
  [['/'], 'search repositories; NAME:TAG and Enter goes there'],
  [['↑', '↓'], 'move in a list (also Page up, Page down, Home, End)'],
  [['Enter'], 'open'],
  [['→', '←'], 'open and close a folder; move between tabs'],
  [['Space'], 'select, where you may delete'],
  [['Shift', 'Space'], 'select all between this one and the last'],
  [['Delete'], 'delete what is selected, or this one'],
  [['c'], 'copy the pull command of the row'],
  [['s'], 'star the row’s repository'],
  [['Esc'], 'leave search, a selection, a dialog; go one level up'],
  [['?'], 'this list'],
]

/** See the file's head. */
export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="keys">
        {keys.map(([names, what]) => (
          <div key={what}>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-buttons">
        <button type="button" class="primary" autoFocus onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}
