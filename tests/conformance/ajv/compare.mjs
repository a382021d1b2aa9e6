// compare.mjs - do Mayday's validator and ajv agree on every shipped schema?
//
//   node compare.mjs --verdicts <build>/tests/conformance/schema_verdicts [--schemas DIR] [--seed N] [--rounds N]
//
// Each round makes several hundred instances for each schema, good ones and spoilt ones, and asks both for their
// verdicts. Any difference is a failure, printed with what repeats it; so is a round in which one schema saw too few
// good or too few bad instances to mean anything.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Ajv from 'ajv/dist/2020.js'
import { chance, make, mutate, write } from './instances.mjs'

const PER_ROUND = 400
const LEAST_SHARE = 0.2

const { values: options } = parseArgs({
  options: {
    verdicts: { type: 'string' },
    schemas: { type: 'string', default: fileURLToPath(new URL('../../../schemas', import.meta.url)) },
    seed: { type: 'string' },
    rounds: { type: 'string', default: '1' },
  },
})
if (!options.verdicts) {
  console.error('which program judges? --verdicts <build>/tests/conformance/schema_verdicts')
  process.exit(2)
}
const firstSeed = options.seed ? Number(options.seed) : Math.floor(Math.random() * 2 ** 31)
const rounds = Number(options.rounds)
// Strict, but a branch may require what the root declares.
const ajv = new Ajv.default({ strict: true, strictRequired: false, allErrors: false })

/** Half of the instances as good as can be, the other half spoilt once to three times. */
function instances(rng, schema, validate) {
  const lines = []
  for (let i = 0; i < PER_ROUND; i++) {
    let value = make(rng, schema, schema)
    for (let tries = 0; tries < 300 && !validate(value); tries++) value = make(rng, schema, schema)
    if (i % 2) for (let n = 1 + rng.below(3); n > 0; n--) value = mutate(rng, value)
    lines.push(write(rng, value))
  }
  return lines
}

function ourVerdicts(file, lines) {
  const run = spawnSync(options.verdicts, [file], { input: lines.join('\n') + '\n', maxBuffer: 1 << 26 })
  if (run.error) throw run.error
  const verdicts = run.stdout.toString().trim().split('\n')
  if (run.status !== 0 || verdicts.length !== lines.length)
    throw new Error(`${file}: ${options.verdicts} gave ${verdicts.length} verdicts for ${lines.length}: ${run.stderr}`)
  return verdicts.map((v) => v === '1')
}

function compare(name, schema, validate, seed) {
  const lines = instances(chance(seed), schema, validate)
  const ours = ourVerdicts(join(options.schemas, name), lines)
  let good = 0, different = 0
  lines.forEach((line, i) => {
    const theirs = validate(JSON.parse(line))
    good += theirs
    if (theirs === ours[i]) return
    different++
    console.log(`${name}: ajv says ${theirs ? 'valid' : 'invalid'}, we do not; --seed ${seed}, instance ${i}:\n  ${line.slice(0, 2000)}`)
  })
  const share = good / lines.length
  const telling = share >= LEAST_SHARE && share <= 1 - LEAST_SHARE
  if (!telling) console.log(`${name}: ${good} of ${lines.length} instances are good: too one-sided; --seed ${seed}`)
  return { good, bad: lines.length - good, failed: different > 0 || !telling }
}

const names = readdirSync(options.schemas).filter((name) => name.endsWith('.json')).sort()
const totals = names.map((name) => {
  const schema = JSON.parse(readFileSync(join(options.schemas, name), 'utf8'))
  const validate = ajv.compile(schema)
  const total = { name, good: 0, bad: 0, failed: false }
  for (let round = 0; round < rounds; round++) {
    const { good, bad, failed } = compare(name, schema, validate, firstSeed + round)
    total.good += good
    total.bad += bad
    total.failed ||= failed
  }
  return total
})
for (const t of totals)
  console.log(`${t.name.padEnd(22)} ${String(t.good).padStart(7)} good ${String(t.bad).padStart(7)} bad  ${t.failed ? 'FAILED' : 'agreed'}`)
const failed = totals.filter((t) => t.failed).length
console.log(`seed ${firstSeed}, rounds ${rounds}: ${names.length - failed} schemas agreed, ${failed} failed`)
process.exit(names.length > 0 && failed === 0 ? 0 : 1)
