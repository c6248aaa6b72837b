-- wrk script: `wrk ... -s load.lua URL -- [POST-BYTES]`. With a number the requests are POSTs with a body
-- of that many bytes. Ends with one line of JSON; wrk makes all requests from one string, so that the
-- script costs nothing while the load runs.

function init(args)
  local bytes = tonumber(args[1] or 0)
  if bytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", bytes)
    wrk.headers["Content-Type"] = "application/octet-stream"
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
