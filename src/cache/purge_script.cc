#include "purge_script.h"

#include "sluice/base/strings.h"

namespace sluice::cache {
namespace {

// The state, made anew if it is none of ours, or has gone back behind what the server has told
// before (restored from an old snapshot): what happened since is lost, and only a new epoch says
// so. UNLINK comes first since a server over its maxmemory refuses a script only until it has
// written.
#define SL_STAMP                                                                   \
  "local function kind(key) return redis.call('TYPE', key).ok end\n"               \
  "local function text(n) return string.format('%.0f', n) end\n"                   \
  "local function stamp()\n"                                                       \
  "  local epoch, n\n"                                                             \
  "  if kind(KEYS[1]) == 'hash' then\n"                                            \
  "    local have = redis.call('HMGET', KEYS[1], 'epoch', 'purges')\n"             \
  "    epoch, n = have[1], have[2]\n"                                              \
  "  end\n"                                                                        \
  "  local good = epoch and n and #epoch <= 19 and #n <= 15 and\n"                 \
  "      string.find(epoch, '^[1-9]%d*$') and string.find(n, '^%d+$')\n"           \
  "  local back = good and epoch == ARGV[2] and tonumber(n) < tonumber(ARGV[3])\n" \
  "  if good and not back then return epoch, tonumber(n) end\n"                    \
  "  redis.call('UNLINK', KEYS[1], KEYS[2])\n"                                     \
  "  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'purges', '0')\n"               \
  "  redis.call('EXPIRE', KEYS[1], ARGV[4])\n"                                     \
  "  return ARGV[1], 0\n"                                                          \
  "end\n"

bool take_number(std::string_view& text, uint64_t& number) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return false;
  const auto value = parse_decimal(text.substr(0, space));
  if (!value) return false;
  number = *value;
  text.remove_prefix(space + 1);
  return true;
}

std::optional<SharedStamp> read_stamp(const redis::Reply& reply) {
  const auto epoch = parse_decimal(reply.at(0).text());
  const auto number = parse_decimal(reply.at(1).text());
  if (!epoch || !number || *epoch == 0) return std::nullopt;
  return SharedStamp{*epoch, *number};
}

// The value of a line "name:value".
std::string_view info_value(std::string_view info, std::string_view name) {
  for (std::string_view line : split(info, '\n')) {
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    line.remove_prefix(name.size() + 1);
    return line.substr(0, line.find('\r'));
  }
  return {};
}

}  // namespace

// A purge has to come in when the server is over its maxmemory too: EXPIRE comes first for that.
// The number goes up before anything else, so that whatever fails behind it leaves a gap, which
// everybody sees. PUBLISH may be forbidden: then the others look by themselves.
const std::string_view kWriteScript = SL_STAMP
    "redis.call('EXPIRE', KEYS[1], ARGV[4])\n"
    "local epoch, n = stamp()\n"
    "local count = #ARGV - 6\n"
    "redis.call('HSET', KEYS[1], 'purges', text(n + count))\n"
    "local set = kind(KEYS[2])\n"
    "if set ~= 'zset' and set ~= 'none' then redis.call('UNLINK', KEYS[2]) end\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[2], '(' .. text(n), '+inf')\n"
    "for i = 1, count do\n"
    "  local member = text(n + i) .. ' ' .. ARGV[6 + i]\n"
    "  redis.call('ZADD', KEYS[2], text(n + i), member)\n"
    "  redis.pcall('PUBLISH', ARGV[5], epoch .. ' ' .. member)\n"
    "end\n"
    "redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[6]))\n"
    "redis.call('EXPIRE', KEYS[2], ARGV[4])\n"
    "for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end\n"
    "return {epoch, text(n + count)}\n";

const std::string_view kLookScript = SL_STAMP
    "local epoch, n = stamp()\n"
    "if ARGV[7] == '1' then\n"
    "  redis.call('EXPIRE', KEYS[1], ARGV[4])\n"
    "  redis.call('EXPIRE', KEYS[2], ARGV[4])\n"
    "end\n"
    "local page, more, bytes = {}, '0', 0\n"
    "if kind(KEYS[2]) == 'zset' then\n"
    "  local from = epoch == ARGV[5] and '(' .. ARGV[6] or '-inf'\n"
    "  local found = redis.call('ZRANGEBYSCORE', KEYS[2], from, '+inf', 'LIMIT', 0, 256)\n"
    "  if #found == 256 then more = '1' end\n"
    "  for i, member in ipairs(found) do\n"
    "    if bytes > 1048576 then more = '1' break end\n"
    "    if #member > 65600 then member = '' end\n"
    "    bytes = bytes + #member\n"
    "    page[i] = member\n"
    "  end\n"
    "end\n"
    "return {epoch, text(n), more, page}\n";

#undef SL_STAMP

std::optional<PurgeNews> parse_news(std::string_view payload) {
  SharedStamp stamp;
  if (!take_number(payload, stamp.epoch) || !stamp.is_known()) return std::nullopt;
  auto purge = parse_numbered(payload);
  if (!purge) return std::nullopt;
  stamp.number = purge->number;
  return PurgeNews{stamp, std::move(purge->order)};
}

std::optional<NumberedPurge> parse_numbered(std::string_view member) {
  uint64_t number = 0;
  if (!take_number(member, number) || number == 0 || member.size() > kLongestPurge) {
    return std::nullopt;
  }
  auto order = parse_purge(member);
  if (!order) return std::nullopt;
  return NumberedPurge{number, *std::move(order)};
}

std::optional<PurgePage> read_page(const redis::Reply& reply) {
  const auto state = read_stamp(reply);
  if (!state || reply.size() != 4 || reply.at(3).type() != redis::Type::kArray) {
    return std::nullopt;
  }
  PurgePage page{*state, reply.at(2).text() == "1", {}, 0};
  for (const redis::Reply member : reply.at(3)) {
    auto purge = parse_numbered(member.text());
    // Nothing has a number that was not given yet.
    if (!purge || purge->number > state->number) {
      ++page.broken;
    } else {
      page.purges.push_back(*std::move(purge));
    }
  }
  return page;
}

std::optional<SharedStamp> read_written(const redis::Reply& reply) {
  return reply.size() == 2 ? read_stamp(reply) : std::nullopt;
}

PurgeOrder within_limits(const PurgeOrder& order) {
  if (order.url.size() + sizeof("hard prefix ") <= kLongestPurge) return order;
  PurgeOrder wider = order;
  wider.what = PurgeOrder::What::prefix;
  wider.url.resize(Purges::kLongestPrefix);
  return wider;
}

std::string memory_warning(std::string_view info) {
  if (info_value(info, "maxmemory") == "0") {
    return "it has no maxmemory: the cache grows until the machine has no memory left";
  }
  if (info_value(info, "maxmemory_policy") == "noeviction") {
    return "its maxmemory-policy is noeviction: once it is full, nothing more is stored";
  }
  return {};
}

}  // namespace sluice::cache
