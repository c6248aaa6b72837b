-- wrk script: `wrk ... -s orders.lua URL -- PRODUCTS`. Each request is an order of one unit, with a key of its own, of
-- products p1 to pPRODUCTS in turn (0: of `gone`, of which there are none). Ends with one line of JSON.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local products, count = tonumber(args[1]), 0
  local run = string.format("%x-%s", os.time(), tostring(args):match("0x(%x+)"))
  local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] ..
               "\r\nContent-Type: application/json\r\nIdempotency-Key: " .. run .. "-" .. number .. "-"
  request = function()
    count = count + 1
    local product = products == 0 and "gone" or "p" .. (count % products + 1)
    local body = string.format('{"user_id":"u%d","items":[{"product_id":"%s","quantity":1}]}', count % 1000, product)
    return head .. count .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "duration_us": %d, "bytes": %d, "connect": %d, "read": %d, "write": %d, ' ..
    '"status": %d, "timeout": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
