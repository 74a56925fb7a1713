-- Sends the requests of a file in turn and replaces a mark in them by increasing numbers, so that each update
-- changes something.
-- Arguments: the file (requests separated by NUL), the mark, the first number.

local requests = {}
local sent = 0
local number = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for text in file:read("*a"):gmatch("[^%z]+") do
    local first, last = text:find(args[2], 1, true)
    if first then
      table.insert(requests, { text:sub(1, first - 1), text:sub(last + 1) })
    else
      table.insert(requests, { text })
    end
  end
  file:close()
  number = tonumber(args[3])
end

function request()
  sent = sent + 1
  local parts = requests[sent % #requests + 1]
  if not parts[2] then
    return parts[1]
  end
  number = number + 1
  return parts[1] .. string.format("%010d", number) .. parts[2]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  local format = '{"answers": %d, "seconds": %.6f, "failed": %d}\n'
  io.write(format:format(summary.requests, summary.duration / 1e6, failed))
end
