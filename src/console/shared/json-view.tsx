/** JSON and other text for reading, with colours and a button that copies exactly what was stored. */
import { CopyButton } from './controls.tsx'
import { indentedJson, jsonTokens } from './json-tokens.ts'

/** Colours for more than this would be slow. */
const mostColoured = 200_000

/** See the file's head. */
export function JsonView({ text, label }: { text: string; label: string }) {
  const shown = indentedJson(text)
  return (
    <div class="code-block">
      <CopyButton text={text} label={`Copy ${label}`} />
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>
          {shown.length > mostColoured
            ? shown
            : jsonTokens(shown).map(({ kind, text: piece }, place) =>
                kind === 'plain' ? (
                  piece
                ) : (
                  <span key={place} class={`json-${kind}`}>
                    {piece}
                  </span>
                ),
              )}
        </code>
      </pre>
    </div>
  )
}
