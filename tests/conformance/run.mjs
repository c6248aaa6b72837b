// Runs http-cache-tests through a real sluice, without Redis and with it: run.mjs FOLDER [TEST-ID]
// The package's own server is the origin, its own tests ask sluice through client.mjs. FOLDER holds the installed package; its folders
// memory and redis receive results.json and the logs. With a TEST-ID: shows the messages of that one test.
// Environment: SLUICE, the program. Exit code 1: a required or optimal test failed that README.md does not except, or Redis had no part in
// its run. The last line counts the tests of both runs as other test programs here do: passed, or else failed.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { correctedId, isCorrected } from './corrections.mjs'

const patienceMs = 30_000 // for anything to become ready, or to end
const suiteMs = 240_000
const kinds = ['required', 'optimal', 'check']
const root = path.resolve(process.argv[2])
const testId = process.argv[3] ?? ''
const suite = path.join(root, 'node_modules/http-cache-tests')
const here = name => fileURLToPath(new URL(name, import.meta.url))
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-conformance.')) // a socket's path must be short
const children = []
let isStopping = false

process.exitCode = 1
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop())
await main()

async function main () {
  const sum = { passed: 0, failed: 0 }
  for (const [name, title, run] of [['memory', 'without Redis', runInMemory], ['redis', 'with Redis', runWithRedis]]) {
    const folder = path.join(root, name)
    fs.mkdirSync(folder, { recursive: true })
    console.log(`conformance ${title}:`)
    try {
      const { passed, failed } = await run(folder)
      console.log(`conformance ${title}: ${failed === 0 ? 'good' : 'NOT GOOD'}\n`)
      sum.passed += passed
      sum.failed += failed
    } catch (error) {
      console.log(`conformance ${title}: ${error.message}; the logs are in ${folder}\n`)
      sum.failed += 1
    } finally {
      await stopAll()
    }
  }
  process.exitCode = sum.failed > 0 ? 1 : 0
  if (testId === '' || sum.failed > 0) console.log(`${sum.passed} passed, ${sum.failed} failed`)
}

async function runInMemory (folder) {
  const origin = await startOrigin(folder)
  return runSuite(folder, await startSluice(folder, 'sluice', { origin }))
}

async function runWithRedis (folder) {
  const redis = await startRedis(folder)
  const origin = await startOrigin(folder)
  const edge = await startSluice(folder, 'sluice', { origin, redis })
  const sum = await runSuite(folder, edge)
  if (testId === '') await checkRedis(edge, await startSluice(folder, 'other', { origin, redis }))
  return sum
}

async function runSuite (folder, edge) {
  const output = await runClient(folder, edge.base)
  if (testId !== '') {
    console.log(output + fs.readFileSync(path.join(folder, 'origin.log'), 'utf8'))
    return { passed: 0, failed: 0 }
  }
  fs.writeFileSync(path.join(folder, 'results.json'), output)
  return report(await testsRun(), JSON.parse(output), exceptions())
}

// In the suite one sluice finds in its memory what it has just stored. So here another one, which has nothing there, is asked for
// what the first has stored; and the first must have looked into Redis and written to it all along, without an error.
async function checkRedis (edge, other) {
  const uuid = randomUUID()
  const config = JSON.stringify([{ response_headers: [['Cache-Control', 'max-age=600']], response_body: 'shared' }])
  await fetch(`${edge.base}/config/${uuid}`, { method: 'PUT', body: config })
  const { looks, writes, bad } = await counts(edge)
  const ask = one => get({ port: one.port, path: `/test/${uuid}`, headers: { host: 'shared.test' } })
  await ask(edge)
  const question = `/api/v1/cache?url=${encodeURIComponent(`http://shared.test/test/${uuid}`)}`
  await until(edge.child, async () => JSON.parse(await askAdmin(edge.socket, question)).redis[0].answer === 'found' || undefined)
  const answer = (await ask(other)).headers['cache-status']
  if (!/^sluice; hit;.*; detail=redis$/.test(answer)) throw new Error(`Redis did not answer: Cache-Status is "${answer}"`)
  console.log(`Redis: ${looks} look-ups, ${writes} writes and ${bad} errors in the suite; then it answered another sluice`)
  if (looks === 0 || writes === 0 || bad > 0) throw new Error('Redis had not its part in the suite')
}

async function counts (edge) {
  const text = await askAdmin(edge.socket, '/metrics')
  const sum = pattern => [...text.matchAll(pattern)].reduce((sum, row) => sum + Number(row[1]), 0)
  return {
    looks: sum(/^sluice_cache_requests_total{tier="redis",result="(?:hit|stale|miss)"} (\d+)$/gm),
    writes: sum(/^sluice_cache_redis_writes_total (\d+)$/gm),
    bad: sum(/^sluice_cache_requests_total{tier="redis",result="(?:error|late)"} (\d+)$/gm)
  }
}

// What runs ----------------------------------------------------------------------------------------

function startOrigin (folder) {
  const origin = launch(folder, 'origin', process.execPath, ['server/server.mjs'], {
    npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: path.join(folder, 'origin.pid')
  })
  return until(origin, () => /^Listening on .*:(\d+)\/$/m.exec(fs.readFileSync(origin.log, 'utf8'))?.[1])
}

async function startRedis (folder) {
  const socket = path.join(home, 'redis.sock')
  const redis = launch(folder, 'redis', 'redis-server', ['--port', '0', '--unixsocket', socket, '--dir', home, '--save', '',
    '--appendonly', 'no', '--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lfu'], {})
  return until(redis, () => fs.existsSync(socket) ? `unix:${socket}` : undefined)
}

async function startSluice (folder, name, { origin, redis }) {
  const socket = path.join(home, `${name}.sock`)
  const config = path.join(folder, `${name}.yaml`)
  // A look-up may take its time here: what is measured is what it brings.
  fs.writeFileSync(config, `listeners: [{name: web, bind: "127.0.0.1:0"}]
pools: {origin: {endpoints: [{address: "127.0.0.1:${origin}"}], retry: {attempts: 1}}}
routes: [{name: all, match: {path: /}, pool: origin, cache: {}}]
${redis === undefined ? '' : `cache: {redis: {url: "${redis}", timeout: 500ms}}\n`}admin: {bind: "unix:${socket}"}
access_log: {path: "${path.join(folder, `${name}.access.log`)}"}
`)
  const child = launch(folder, name, process.env.SLUICE, ['serve', '-c', config], {})
  return until(child, async () => {
    const bind = JSON.parse(await askAdmin(socket, '/api/v1/status')).listeners[0].bind
    const port = Number(bind.slice(bind.lastIndexOf(':') + 1))
    return port > 0 ? { child, socket, port, base: `http://127.0.0.1:${port}` } : undefined
  })
}

async function runClient (folder, base) {
  const client = launch(folder, 'client', process.execPath, ['--no-warnings', here('client.mjs'), suite, base, testId], {})
  const clock = setTimeout(() => client.process.kill('SIGKILL'), suiteMs)
  const code = await client.ended
  clearTimeout(clock)
  if (code !== 0) throw new Error(`the client of the suite ended with ${code}`)
  for (const child of children) {
    if (child !== client && child.code !== undefined) throw new Error(`${child.name} ended with ${child.code}`)
  }
  return fs.readFileSync(client.log, 'utf8')
}

function launch (folder, name, program, args, environment) {
  const log = path.join(folder, `${name}.log`)
  if (isStopping) throw new Error('told to stop')
  const file = fs.openSync(log, 'w')
  const child = { name, log, code: undefined }
  child.process = spawn(program, args,
    { cwd: suite, env: { ...process.env, ...environment }, stdio: ['ignore', file, file] })
  fs.closeSync(file)
  child.ended = new Promise(resolve => {
    child.process.on('error', error => resolve(child.code = error.code))
    child.process.on('exit', (code, signal) => resolve(child.code = code ?? signal))
  })
  children.push(child)
  return child
}

// Asks until there is an answer, as long as the child lives.
async function until (child, ask) {
  const end = Date.now() + patienceMs
  while (Date.now() < end && child.code === undefined) {
    const answer = await Promise.resolve().then(ask).catch(() => undefined)
    if (answer !== undefined) return answer
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`${child.name} is not ready`)
}

function get (request) {
  return new Promise((resolve, reject) => {
    http.get(request, async response => {
      resolve({ headers: response.headers, body: (await response.toArray()).join('') })
    }).on('error', reject)
  })
}

async function askAdmin (socketPath, path) {
  return (await get({ socketPath, path, headers: { host: 'localhost' } })).body
}

function stop () {
  isStopping = true
  stopAll().then(() => process.exit(1))
}

// The client first, the origin last.
async function stopAll () {
  for (const child of children.splice(0).reverse()) {
    child.process.kill('SIGTERM')
    const clock = setTimeout(() => child.process.kill('SIGKILL'), patienceMs)
    await child.ended
    clearTimeout(clock)
  }
}

// What it says -------------------------------------------------------------------------------------

// The tests which the client runs, in its order: those for browsers only are left out.
async function testsRun () {
  const load = async file => (await import(pathToFileURL(path.join(suite, 'tests', file)))).default
  return [...await load('index.mjs'), await load('surrogate-control.mjs')].flatMap(({ id: group, tests }) =>
    tests.filter(test => !test.browser_only).map(({ id, kind = 'required' }) => ({ id, kind, group })))
}

function exceptions () {
  const rows = fs.readFileSync(here('README.md'), 'utf8').matchAll(/^- ((`[^`]+`,?\s+)*`[^`]+`):\s/gm)
  return new Set([...rows].flatMap(row => [...row[1].matchAll(/`([^`]+)`/g)].map(id => id[1])))
}

function report (tests, written, excepted) {
  const results = { ...written }
  const corrected = tests.filter(test => isCorrected(test.id))
  for (const { id } of corrected) results[id] = written[correctedId(id)]
  showTable(tests, results)
  for (const { id, kind } of corrected) console.log(`corrected ${kind} ${id}; as written: ${say(written[id])}`)
  const failed = tests.filter(test => test.kind !== 'check' && results[test.id] !== true)
  for (const { id, kind } of failed) {
    console.log(`${excepted.has(id) ? 'excepted' : 'FAILED'} ${kind} ${id}: ${say(results[id])}`)
  }
  const needless = [...excepted].filter(id => !failed.some(test => test.id === id))
  for (const id of needless) console.log(`FAILED ${id} is excepted in README.md but passes`)
  const unexpected = failed.filter(test => !excepted.has(test.id)).length + needless.length
  const each = kinds.slice(0, 2).map(kind => `${passedOf(tests, results, kind).join(' of ')} ${kind}`)
  console.log(`${each.join(', ')} passed; ` +
    `${corrected.length} of them corrected, ${failed.length + needless.length - unexpected} excepted, ${unexpected} failed`)
  return { passed: tests.filter(test => test.kind !== 'check').length - failed.length, failed: unexpected }
}

function say (result) {
  if (result === true) return 'passed'
  const [what, why] = result ?? ['Untested', 'no result']
  return `${why} (${what})`
}

// passed and failed for each kind, a line a suite
function showTable (tests, results) {
  const line = (name, cells) => console.log(name.padEnd(20) + cells.map(cell => String(cell).padStart(10)).join(''))
  const row = (name, some) => line(name, kinds.flatMap(kind => {
    const [passed, all] = passedOf(some, results, kind)
    return all === 0 ? ['', ''] : [passed, all - passed]
  }))
  line('', kinds.flatMap(kind => [kind, '']))
  line('suite', kinds.flatMap(() => ['passed', 'failed']))
  for (const group of new Set(tests.map(test => test.group))) row(group, tests.filter(test => test.group === group))
  row('all', tests)
}

function passedOf (tests, results, kind) {
  const some = tests.filter(test => test.kind === kind)
  return [some.filter(test => results[test.id] === true).length, some.length]
}
