/** Names of containers: the rule, and made-up ones for those who give none. */
import { EngineError } from '../spec/errors.ts'

const namePattern = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** The name without its slash. Throws invalid with Docker's text. */
export function parseContainerName(name: string): string {
  if (!namePattern.test(name)) {
    throw new EngineError(
      'invalid',
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  return name.startsWith('/') ? name.slice(1) : name
}

/** A free name of two words, or undefined when several in a row are taken (then the short id is the name). */
export function inventName(isTaken: (name: string) => boolean, random: () => number): string | undefined {
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)] ?? 'calm'
  for (let attempt = 0; attempt < 6; attempt++) {
    const digit = attempt === 0 ? '' : String(Math.floor(random() * 10))
    const name = `${pick(adjectives)}_${pick(surnames)}${digit}`
    if (!isTaken(name)) return name
  }
  return undefined
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

const adjectives = words(`
  able agile airy amber ample apt azure balmy beaming blithe bold brave breezy bright brisk bubbly buoyant calm candid
  careful cheerful chipper civil clear clever comely cordial cosy crisp curious dainty dapper daring deft dewy diligent
  dreamy droll eager earnest easy elated elegant fair fearless festive fine fleet fluent fond frank fresh friendly frosty
  gallant gentle genial glad gleaming glossy golden graceful grand handy hardy hearty hale honest hopeful humble intent
  inventive jaunty jolly jovial joyful keen kind lively loyal lucid lucky mellow merry mild mindful modest neat nifty
  nimble noble novel patient peaceful perky placid plucky polite proud prudent quaint quick quiet radiant ready robust
  rosy rugged sage serene sharp shiny silent sincere sleek snappy snug sober solid spry stable starry staunch steady
  stellar stout sturdy subtle sunny supple sure swift tender thrifty tidy tranquil trim trusty upbeat valiant verdant
  vibrant vigilant vivid warm wary wise witty zesty zippy`)

// Sailors, shipbuilders, harbour engineers, cartographers and those who measured the sea and the sky.
const surnames = words(`
  amundsen anning banks baret barents beaufort bering bligh bougainville bowditch brunel cabot cassini chapelle
  chichester cook cousteau crowhurst dampier davis diaz drake earle ekman ellet eriksson fitzroy flinders franklin
  frobisher froude gama gerritsz gilbert gray hadley halley harrison hartog henson herreshoff heyerdahl hornblower
  hudson humboldt jansz johnson kepler knox lapeyrouse lovelace luders macarthur magellan marsden maury mawson mercator
  mitchell moitessier nansen napier nelson noether ortelius parry peary plimsoll polo ptolemy raleigh ross rozhdestvensky
  scoresby shackleton slocum smeaton somerville stephens stevenson steers sverdrup tabarly tasman tharp tilman torricelli
  treworgy vancouver verrazzano vespucci waldseemuller wallis watts weddell wegener whewell worsley wren zheng`)
