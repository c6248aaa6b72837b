// Runs the tests of http-cache-tests, and those that are corrected: client.mjs SUITE BASE-URL [TEST-ID]
// What the package's own cli.mjs does, which knows no other tests than its own. Prints the results as JSON, and with a
// TEST-ID the messages of that one test before them.
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { correctedId, correctedSuite } from './corrections.mjs'

const [suite, base, testId = ''] = process.argv.slice(2)
const load = file => import(pathToFileURL(path.join(suite, file)))
const { runTests, getResults } = await load('client/runner.mjs')
const fetch = createRequire(path.join(suite, 'cli.mjs'))('node-fetch')
const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
suites.push(correctedSuite(suites))

await runTests(testId === '' ? suites : onlyOne(), fetch, false, base)
console.log(JSON.stringify(getResults(), null, 2))

function onlyOne () {
  const wanted = [testId, correctedId(testId)]
  const some = suites.map(one => ({ ...one, tests: one.tests.filter(test => wanted.includes(test.id)) }))
  const tests = some.flatMap(one => one.tests)
  if (tests.length === 0) throw new Error(`there is no test ${testId}`)
  for (const test of tests) test.dump = true
  return some
}
