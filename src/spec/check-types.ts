/** The wire shape of `POST /wharf/system/check`, an addition to the Engine API. */

/** A part of the state. */
export type CheckArea = 'database' | 'content' | 'layers' | 'images' | 'volumes' | 'containers'

/** One thing that is not as it should be. */
export type CheckFinding = {
  Area: CheckArea
  Kind: 'unowned' | 'missing' | 'damaged'
  Object: string
  Detail: string
  /** `possible`: a check with repair would; `impossible`: see `Advice`. */
  Repair: 'possible' | 'done' | 'failed' | 'impossible'
  /** What a person can do, or why a repair failed. */
  Advice: string
}

/** Outcome of a check. */
export type CheckReport = {
  Findings: CheckFinding[]
  /** How many objects of each area were looked at. */
  Checked: Record<CheckArea, number>
  /** Whether contents were read and compared, beside names and sizes. */
  Deep: boolean
}
