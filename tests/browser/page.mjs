// Uses the page of the orders as a person does, in headless Chromium: page.mjs FOLDER URL TALK
// FOLDER has playwright-core, and gets the screenshots light.png, dark.png and narrow.png. Where something has to happen
// outside, a line "please WORD" is printed, and the file WORD in the folder TALK waited for.
// Exit code 0: all was as it should be; else the last lines say what was not. Environment: CHROMIUM, the program.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const [folder, url, talk] = process.argv.slice(2)
const { chromium } = createRequire(path.join(path.resolve(folder), 'x.js'))('playwright-core')
const patienceMs = 30_000

// As root Chromium has no sandbox. The page asks nobody but its own origin.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--disable-dev-shm-usage', '--disable-gpu']
})
const page = await browser.newPage({ colorScheme: 'light', viewport: { width: 1200, height: 800 } })
page.setDefaultTimeout(patienceMs)
const wrong = [] // what a browser complains about: scripts, the Content-Security-Policy, foreign requests
let mayFail = false // while the shop is away on purpose
page.on('pageerror', error => wrong.push(`script: ${error.message}`))
page.on('console', line => line.type() === 'error' && !isAnswer(line) && wrong.push(`console: ${line.text()}`))
page.on('request', request => !request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:') &&
  wrong.push(`foreign: ${request.url()}`))

try {
  await opens()
  await tellsHits()
  await ordersByKeyboard()
  await tellsSoldOut()
  await looks()
  await comesBack()
  await tellsTooMany()
  assert.deepEqual(wrong, [])
} finally {
  await browser.close()
}
console.log('the page is well')

async function opens () {
  const answer = await page.goto(url)
  assert.equal(answer.status(), 200)
  await text('#live', /^Live, told by backend (a|b)$/)
  assert.equal(await page.locator('#products li').count(), 4)
  assert.equal(await page.getByRole('heading', { name: 'Flash sale' }).count(), 1)
  // Once and for all: the page is never loaded again.
  await page.evaluate(() => { window.isFirst = true })
}

async function tellsHits () {
  const first = page.locator('#fetches tr').last()
  assert.match(await first.innerText(), /\bmiss\b.*\b(a|b)$/s)
  await page.getByRole('button', { name: 'Fetch again' }).click()
  await page.locator('#fetches tr', { hasText: 'hit' }).first().waitFor()
  const hit = await page.locator('#fetches tr', { hasText: 'hit' }).last().innerText()
  assert.match(hit, /\bhit(, stale)?\s+\d+ s\s+(a|b)$/)
  assert.match(await page.locator('#cache-status').innerText(), /^sluice; /)
}

// From the top of the page by Tab and Enter alone; the states are noted as they are shown.
async function ordersByKeyboard () {
  await page.evaluate(() => {
    window.states = []
    new MutationObserver(changes => changes.forEach(change => change.addedNodes.forEach(node => {
      const state = node.querySelector?.('.state')?.textContent ?? (node.className === 'state' ? node.textContent : '')
      if (state && change.target.closest('#orders')) window.states.push(state)
    }))).observe(document.getElementById('orders'), { childList: true, subtree: true })
  })
  assert.equal(await stock('mug'), 1000)
  for (let i = 0; i < 10; ++i) {
    await page.keyboard.press('Tab')
    if (await focused() === 'Order: Mug') break
  }
  assert.equal(await focused(), 'Order: Mug')
  await page.keyboard.press('Enter')
  await text('#notice', /^Order …\S+, 1 × Mug: accepted by backend (a|b)\.$/)
  assert.equal(await focused(), 'Order: Mug')
  assert.match(await page.locator('#orders tr.mine').innerText(), /yours\s+accepted\s+1 × Mug\s/)
  await until(async () => await stock('mug') === 999)
  await please('work')
  await text('#orders tr.mine .state', /^shipped$/)
  await text('#notice', /^Your order …\S+ is shipped\.$/)
  const states = await page.evaluate(() => window.states)
  assert.deepEqual(states.filter((state, i) => state !== states[i - 1]), ['accepted', 'paid', 'shipped'])
  assert.equal(await page.evaluate(() => window.isFirst), true)
}

async function tellsSoldOut () {
  await page.getByLabel('Units in an order').selectOption('5')
  await page.getByRole('button', { name: 'Order: Two left' }).click()
  await text('#trouble', /^Two left was not ordered: sold out: of two there are 2 left, 5 were ordered\.$/)
  await page.getByLabel('Units in an order').selectOption('1')
  await page.getByRole('button', { name: 'Order: Last one' }).click()
  const button = page.getByRole('button', { name: 'Sold out: Last one' })
  await button.waitFor()
  assert.equal(await button.getAttribute('aria-disabled'), 'true')
  assert.equal(await stock('last'), 0)
  await text('#trouble', /^$/)
}

// The backends let a user have four orders.
async function tellsTooMany () {
  await press('Order: Mug')
  await text('#notice', /^(Order|Your order) …/)
  await until(async () => await page.locator('#orders tr.mine').count() === 4)
  await press('Order: Mug')
  await text('#trouble', /^Mug was not ordered: too many orders: .* Try again in \d+ s\.$/)
}

// sluice goes on to tell the stock that it has; orders cannot be had so.
async function comesBack () {
  mayFail = true
  await please('kill')
  await text('#live', /^Connection lost, trying again…$/)
  await press('Order: Two left')
  await text('#trouble', /^Two left was not ordered: .*\(50[23]\).* will not order it twice\.$/)
  await please('start')
  await text('#live', /^Live, told by backend (a|b)$/)
  await text('#notice', /^The connection is back\.$/)
  await press('Order: Two left')
  await text('#notice', /^(Order|Your order) …/)
  await text('#trouble', /^$/)
  await until(async () => await stock('two') === 1)
  await page.route('**/products', route => route.abort())
  await text('#trouble', /^The products cannot be fetched: no connection\. Trying again\.$/)
  await page.unroute('**/products')
  await text('#trouble', /^$/)
  mayFail = false
  assert.equal(await page.evaluate(() => window.isFirst), true)
}

// For people to look at; and no width makes the page scroll sideways.
async function looks () {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme })
    await page.screenshot({ path: path.join(folder, `${scheme}.png`), fullPage: true })
  }
  await page.setViewportSize({ width: 360, height: 740 })
  await page.screenshot({ path: path.join(folder, 'narrow.png'), fullPage: true })
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
  await page.setViewportSize({ width: 1200, height: 800 })
}

// Helpers ------------------------------------------------------------------------------------------

// Chromium reports each answer above 399 as an error; those of a shop that is away or refuses are meant.
function isAnswer (line) {
  return /Failed to load resource/.test(line.text()) && (mayFail || /status of (409|429)/.test(line.text()))
}

async function press (name) {
  await page.getByRole('button', { name }).click()
}

async function stock (id) {
  return Number(await page.locator(`#products [data-product=${id}] b`).innerText())
}

function focused () {
  return page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)
}

async function text (selector, pattern) {
  let last
  await until(async () => pattern.test(last = (await page.locator(selector).first().textContent()).trim()),
    () => `${selector} is "${last}", not ${pattern}`)
}

async function please (word) {
  console.log(`please ${word}`)
  await until(() => fs.existsSync(path.join(talk, word)), () => `nobody did: ${word}`)
}

async function until (isTrue, otherwise = () => String(isTrue)) {
  for (const end = Date.now() + patienceMs; !await isTrue();) {
    if (Date.now() > end) assert.fail(otherwise())
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
