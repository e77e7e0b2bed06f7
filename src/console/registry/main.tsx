/** The registry's web page. */
import { render } from 'preact'
import { Notices } from '../shared/notices.tsx'
import { App } from './app.tsx'

const root = document.getElementById('app')
if (root !== null) {
  render(
    <Notices>
      <App />
    </Notices>,
    root,
  )
}
