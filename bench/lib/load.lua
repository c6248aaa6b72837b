-- wrk script: `wrk ... -s load.lua URL -- [POST-BYTES [BATCH [URLS]]]`. Ends with one line of JSON.
-- POST-BYTES  not 0: the requests are POSTs with a body of that many bytes
-- BATCH       each request has a URL of its own, PATH?THREAD-NUMBER, and so many are sent at once on a connection
-- URLS        a thread starts again after so many URLs (left out: never)
-- Without BATCH wrk makes all requests from one string, so that the script costs nothing while the load runs.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local bytes = tonumber(args[1] or 0)
  if bytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", bytes)
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  if args[2] then
    request = distinct(tonumber(args[2]), tonumber(args[3] or 0))
  end
end

function distinct(batch, urls)
  local head = "GET " .. wrk.path .. "?" .. number .. "-"
  local tail = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n\r\n"
  local count, parts = 0, {}
  return function()
    for i = 1, batch do
      parts[i] = head .. count .. tail
      count = count + 1
      if count == urls then count = 0 end
    end
    return table.concat(parts)
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
