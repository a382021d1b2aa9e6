// instances.mjs - random instances of a JSON Schema: mostly good ones from make(), and what mutate() makes of them.
// All chance comes from one seeded generator, so a seed repeats a run.

/** mulberry32: small, seeded, good enough for choosing test cases. */
export function chance(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n) => Math.floor(next() * n)
  return { next, below, pick: (list) => list[below(list.length)], maybe: (p) => next() < p }
}

// ---- strings from patterns: the part of regular expressions that the schemas use ----

const printable = () => Array.from({ length: 95 }, (_, i) => 32 + i).concat([0xe4, 0x3b1, 0x4f60, 0x1f6a8])

function parsePattern(pattern) {
  const chars = [...pattern]
  let at = 0
  const escape = () => {
    const c = chars[at++]
    if (c === 'u') {
      const code = parseInt(chars.slice(at, at + 4).join(''), 16)
      at += 4
      return code
    }
    if (/[a-zA-Z0-9]/.test(c)) throw new Error(`pattern ${pattern}: cannot make strings for \\${c}`)
    return c.codePointAt(0)
  }
  const one = () => (chars[at] === '\\' ? (at++, escape()) : chars[at++].codePointAt(0))
  const klass = () => {
    const negated = chars[at] === '^' && !!++at
    const set = new Set()
    while (chars[at] !== ']') {
      const low = one()
      let high = low
      if (chars[at] === '-' && chars[at + 1] !== ']') {
        at++
        high = one()
      }
      for (let c = low; c <= high; c++) set.add(c)
    }
    at++
    return negated ? printable().filter((c) => !set.has(c)) : [...set]
  }
  const count = () => {
    if (chars[at] === '*') return at++, [0, 12]
    if (chars[at] === '+') return at++, [1, 12]
    if (chars[at] === '?') return at++, [0, 1]
    const found = chars[at] === '{' && /^\{(\d+)(,?)(\d*)\}/.exec(chars.slice(at).join(''))
    if (!found) return [1, 1]
    at += found[0].length
    const low = Number(found[1])
    return [low, found[2] ? Number(found[3] || low + 12) : low]
  }
  const sequence = () => {
    const parts = []
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') {
      const c = chars[at++]
      if (c === '^' || c === '$') continue
      let part
      if (c === '(') part = { choice: choice() }
      else if (c === '[') part = { set: klass() }
      else if (c === '\\') part = { set: [escape()] }
      else part = { set: [c.codePointAt(0)] }
      if (c === '(') at++
      const [low, high] = count()
      parts.push({ ...part, low, high })
    }
    return parts
  }
  const choice = () => {
    const all = [sequence()]
    while (chars[at] === '|') at++, all.push(sequence())
    return all
  }
  return choice()
}

const patterns = new Map()

function fromPattern(rng, pattern) {
  if (!patterns.has(pattern)) patterns.set(pattern, parsePattern(pattern))
  const write = (choice) => {
    let text = ''
    for (const part of rng.pick(choice))
      for (let n = part.low + rng.below(part.high - part.low + 1); n > 0; n--)
        text += part.choice ? write(part.choice) : String.fromCodePoint(rng.pick(part.set))
    return text
  }
  return write(patterns.get(pattern))
}

// ---- good instances ----

export const resolve = (root, schema) =>
  schema.$ref ? schema.$ref.slice(2).split('/').reduce((at, name) => at[name], root) : schema

function makeNumber(rng, s) {
  const low = s.minimum ?? -1000, high = s.maximum ?? 1000
  if (rng.maybe(0.2)) return rng.pick([low, high])
  const value = low + rng.next() * (high - low)
  return s.type === 'integer' || rng.maybe(0.2) ? Math.round(value) : value
}

function makeString(rng, s) {
  const text = s.pattern ? fromPattern(rng, s.pattern) : rng.pick(['', 'x', 'ein Wort', '\u{1f6a8}', 'a\nb'])
  return [...text].slice(0, s.maxLength ?? Infinity).join('')
}

function makeObject(rng, root, s) {
  const made = {}
  const names = Object.keys(s.properties ?? {})
  const share = rng.next() // some instances are sparse, some are full
  for (const name of names)
    if (s.required?.includes(name) || rng.maybe(share)) made[name] = make(rng, root, s.properties[name])
  return made
}

export function make(rng, root, schema) {
  const s = resolve(root, schema)
  if ('const' in s) return s.const
  if (s.enum) return rng.pick(s.enum)
  switch (s.type) {
    case 'object': return makeObject(rng, root, s)
    case 'array': {
      const low = s.minItems ?? 0
      const count = low + rng.below(Math.min(s.maxItems ?? 4, 6) - low + 1)
      return Array.from({ length: count }, () => make(rng, root, s.items))
    }
    case 'string': return makeString(rng, s)
    case 'number':
    case 'integer': return makeNumber(rng, s)
    case 'boolean': return rng.maybe(0.5)
    case 'null': return null
  }
  return rng.pick([1, 'x', true, null])
}

// ---- and what may be wrong with them ----

const strange = [null, true, false, 0, -0, 1, -1, 1.5, '', 'x', '0', [], {}, [null], { a: 1 }, '\u0000', 'NaN']
const numbers = [0, -0, 1, -1, 2, 90, 90.00000000000001, -90.00000000000001, 180, 180.5, 360, 361, 1e-320, 1e308, -1e308,
  2 ** 31, 2 ** 31 - 1, 2 ** 53, 2 ** 53 - 1, 1e18, 0.1 + 0.2, 5e-324]
const texts = ['', ' ', '\n', '\u0000', '\u007f', '\u2028', '\u00a0', '\ufeff', '\u{1f6a8}', 'e\u0301', '/', '+', '#', 'x'.repeat(5000),
  '\u{1f6a8}'.repeat(128), '\u{1f6a8}'.repeat(129), 'ä'.repeat(4000), 'ä'.repeat(4001), '2026-02-30T00:00:00.000Z',
  '2026-11-21T02:40:00Z', '2026-11-21T02:40:60.000Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z',
  '018f3a5e-1c2b-7def-8abc-0123456789ab', '018F3A5E-1C2B-7DEF-8ABC-0123456789AB', '018f3a5e-1c2b-4def-8abc-0123456789ab']
const names = ['x', '', '__proto__', 'constructor', 'toString', 'from', 'sender', 'V', 'id ', '\u0065\u0301', 'lat\u0000'.slice(0, 3) + '_']

function mutateText(rng, text) {
  const chars = [...text]
  const at = rng.below(chars.length + 1)
  switch (rng.below(6)) {
    case 0: return rng.pick(texts)
    case 1: return text + rng.pick(['\n', ' ', 'x', '\u{1f6a8}', '\u0000', '\r\n'])
    case 2: return rng.pick([' ', 'x', '\ufeff', '-']) + text
    case 3: return text.toUpperCase()
    case 4: chars.splice(at, 1); return chars.join('')
  }
  chars.splice(at, 1, rng.pick(texts.slice(1, 13)))
  return chars.join('')
}

const mutateNumber = (rng, n) =>
  rng.pick([n + 0.5, -n, n + 1, n - 1, n * 1000, Math.trunc(n), String(n), rng.pick(numbers), rng.pick(numbers)])

function mutateArray(rng, list) {
  switch (rng.below(5)) {
    case 0: return []
    case 1: return [...list, ...list]
    case 2: return [...list, rng.pick(strange)]
    case 3: return Array.from({ length: rng.pick([11, 129, 501, 1001]) }, () => list[0] ?? 1)
  }
  return list.length ? list.map((x, i) => (i === 0 ? mutate(rng, x) : x)) : [1]
}

/** A member of its own, whatever its name: assigning to "__proto__" would not make one. */
const withMember = (object, name, value) =>
  Object.defineProperty({ ...object }, name, { value, enumerable: true, configurable: true, writable: true })

function mutateObject(rng, object) {
  const own = Object.keys(object)
  const name = rng.pick(own)
  const dice = rng.next()
  if (own.length === 0 || dice < 0.12) return withMember(object, rng.pick(names), rng.pick(strange))
  if (dice < 0.3) {
    const { [name]: dropped, ...rest } = object
    return rest
  }
  if (dice < 0.4) return withMember(object, name, rng.pick(strange))
  return withMember(object, name, mutate(rng, object[name]))
}

export function mutate(rng, value) {
  if (rng.maybe(0.02)) return rng.pick(strange)
  if (Array.isArray(value)) return mutateArray(rng, value)
  if (value === null || typeof value === 'boolean') return rng.pick(strange)
  if (typeof value === 'object') return mutateObject(rng, value)
  return typeof value === 'number' ? mutateNumber(rng, value) : mutateText(rng, value)
}

/** JSON text on one line; a whole number is at times written with a fraction or an exponent, which is the same number. */
export function write(rng, value) {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e15 && rng.maybe(0.15))
    return rng.pick([`${value}.0`, `${value}e0`, `${value}.00E+0`])
  if (Array.isArray(value)) return `[${value.map((x) => write(rng, x)).join(',')}]`
  if (value && typeof value === 'object')
    return `{${Object.keys(value).map((k) => `${JSON.stringify(k)}:${write(rng, value[k])}`).join(',')}}`
  return JSON.stringify(value)
}
