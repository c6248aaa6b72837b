// Runs http-cache-tests through a real sluice: run.mjs FOLDER [TEST-ID]
// The package's own server is the origin, its own tests ask sluice through client.mjs. FOLDER holds the installed package and
// receives results.json and the logs. With a TEST-ID: shows the messages of that one test.
// Environment: SLUICE, the program. Exit code 1: a required or optimal test failed that README.md does not except.
// The last line counts those two kinds as other test programs here do: passed, or else failed.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { correctedId, isCorrected } from './corrections.mjs'

const patienceMs = 30_000 // for anything to become ready, or to end
const suiteMs = 480_000
const kinds = ['required', 'optimal', 'check']
const folder = path.resolve(process.argv[2])
const testId = process.argv[3] ?? ''
const suite = path.join(folder, 'node_modules/http-cache-tests')
const here = name => fileURLToPath(new URL(name, import.meta.url))
const children = []

process.exitCode = 1
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopAll().then(() => process.exit(1)))
try {
  process.exitCode = await main()
} catch (error) {
  console.log(`conformance: ${error.message}; the logs are in ${folder}\n0 passed, 1 failed`)
} finally {
  await stopAll()
}

async function main () {
  const origin = await startOrigin()
  const edge = await startSluice(origin)
  const output = await runClient(`http://127.0.0.1:${edge}`)
  if (testId !== '') {
    console.log(output + fs.readFileSync(path.join(folder, 'origin.log'), 'utf8'))
    return 0
  }
  fs.writeFileSync(path.join(folder, 'results.json'), output)
  return report(await testsRun(), JSON.parse(output), exceptions())
}

// What runs ----------------------------------------------------------------------------------------

function startOrigin () {
  const origin = launch('origin', process.execPath, ['server/server.mjs'], {
    npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: path.join(folder, 'origin.pid')
  })
  return until(origin, () => /^Listening on .*:(\d+)\/$/m.exec(fs.readFileSync(origin.log, 'utf8'))?.[1])
}

async function startSluice (originPort) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-conformance.')) // a socket's path must be short
  process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }))
  const socket = path.join(home, 'admin.sock')
  const config = path.join(folder, 'sluice.yaml')
  fs.writeFileSync(config, `listeners: [{name: web, bind: "127.0.0.1:0"}]
pools: {origin: {endpoints: [{address: "127.0.0.1:${originPort}"}], retry: {attempts: 1}}}
routes: [{name: all, match: {path: /}, pool: origin, cache: {}}]
admin: {bind: "unix:${socket}"}
access_log: {path: "${path.join(folder, 'access.log')}"}
`)
  const sluice = launch('sluice', process.env.SLUICE, ['serve', '-c', config], {})
  return until(sluice, async () => {
    const bind = JSON.parse(await get(socket, '/api/v1/status')).listeners[0].bind
    return Number(bind.slice(bind.lastIndexOf(':') + 1)) || undefined
  })
}

async function runClient (base) {
  const client = launch('client', process.execPath, ['--no-warnings', here('client.mjs'), suite, base, testId], {})
  const clock = setTimeout(() => client.process.kill('SIGKILL'), suiteMs)
  const code = await client.ended
  clearTimeout(clock)
  if (code !== 0) throw new Error(`the client of the suite ended with ${code}`)
  for (const child of children) {
    if (child !== client && child.code !== undefined) throw new Error(`${child.name} ended with ${child.code}`)
  }
  return fs.readFileSync(client.log, 'utf8')
}

function launch (name, program, args, environment) {
  const log = path.join(folder, `${name}.log`)
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

function get (socketPath, url) {
  return new Promise((resolve, reject) => {
    http.get({ socketPath, path: url, headers: { host: 'localhost' } }, async response => {
      resolve((await response.toArray()).join(''))
    }).on('error', reject)
  })
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
  const counts = kinds.slice(0, 2).map(kind => `${passedOf(tests, results, kind).join(' of ')} ${kind}`)
  console.log(`conformance: ${counts.join(', ')} passed; ` +
    `${corrected.length} of them corrected, ${failed.length + needless.length - unexpected} excepted, ${unexpected} failed`)
  console.log(`${tests.filter(test => test.kind !== 'check').length - failed.length} passed, ${unexpected} failed`)
  return unexpected > 0 ? 1 : 0
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
