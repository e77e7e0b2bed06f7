/** The part of the page's address behind `#`: where in the page one is. */
import { useEffect, useState } from 'preact/hooks'

/** The address now, and again whenever it changes. */
export function useAddress(): string {
  const [address, setAddress] = useState(readAddress)
  useEffect(() => {
    const changed = () => setAddress(readAddress())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return address
}

/** Goes somewhere, as a link would. */
export function goTo(address: string): void {
  location.hash = address
}

/** Changes the address where one is, without a step to go back. */
export function replaceAddress(address: string): void {
  history.replaceState(null, '', address)
  dispatchEvent(new HashChangeEvent('hashchange'))
}

/** Names the page in the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title
  }, [title])
}

function readAddress(): string {
  return location.hash
}
