// Tests of the suite that no cache can pass as they are written, and what they ask here instead; README.md says why.
// The suite's own result for them is shown and does not count; that of the corrected test does, as of the same kind.
const suffix = ' (corrected)'

// The origin hangs up before a byte of its answer; what is wanted of the second one it alone could have sent.
function endsIn (status) {
  return ([store, { expected_type: ignored, ...disconnect }]) =>
    [store, { ...disconnect, expected_status: status, check_body: false }]
}

// A transfer coding that may come without having been asked for.
function comesInChunks ([store, reuse]) {
  const headers = store.response_headers.map(([name, ...rest]) =>
    name === 'Transfer-Encoding' ? [name, 'chunked', false] : [name, ...rest])
  return [{ ...store, response_headers: headers }, { ...reuse, expected_response_headers_missing: ['Transfer-Encoding'] }]
}

const corrections = new Map([
  ['stale-close-must-revalidate', endsIn(504)],
  ['stale-close-proxy-revalidate', endsIn(504)],
  ['stale-close-s-maxage=2', endsIn(504)],
  ['stale-close-no-cache', endsIn(502)], // it has no validator either: nothing is stored that had to be validated
  ['headers-store-Transfer-Encoding', comesInChunks]
])

export const isCorrected = id => corrections.has(id)
export const correctedId = id => id + suffix

// Copies of those among the suites' tests, as a suite of their own.
export function correctedSuite (suites) {
  const tests = suites.flatMap(suite => suite.tests).filter(test => isCorrected(test.id))
  if (tests.length !== corrections.size) throw new Error('a corrected test is not in the suite any more')
  return {
    name: 'Corrected',
    id: 'corrected',
    tests: tests.map(test => ({
      ...test, id: correctedId(test.id), requests: corrections.get(test.id)(structuredClone(test.requests))
    }))
  }
}
